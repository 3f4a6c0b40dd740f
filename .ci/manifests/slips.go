package main

// slips are what people get wrong, as what kustomize makes of the overlay has it, and the words
// with which each is refused.
func slips() []slip {
	return []slip{
		// Not what Kubernetes reads.
		{"strategy:", "strategi:", "unknown field"},
		{"readOnlyRootFilesystem: true", "readonlyRootFilesystem: yes", "unknown field"},
		{"jobLabel:", "joblabels:", "unknown field"},
		{"maxUnavailable: 1", "maxUnavailable: [1]", "PodDisruptionBudget"},
		{"kind: ServiceAccount", "kind: Secret", "has no place here"},
		// The state has one writer.
		{"replicas: 1", "replicas: 2", "one process writes"},
		{"type: Recreate", "type: RollingUpdate", "has to end before"},
		{"- ReadWriteOnce", "- ReadWriteMany", "one node writes"},
		{"storage: 2Gi", "storage: 500Mi", "too small"},
		{"claimName: terra-reconcile", "claimName: other", "another claim"},
		{"      - name: state\n        persistentVolumeClaim:\n          claimName: terra-reconcile", "      - name: state\n        emptyDir: {medium: Memory, sizeLimit: 1Gi}", "on no claim"},
		{"mountPath: /state", "mountPath: /data", "/data can be written"},
		// Rights.
		{"runAsNonRoot: true", "runAsNonRoot: false", "user of the image"},
		{"runAsUser: 65532", "runAsUser: 0", "user of the image"},
		{"fsGroup: 65532", "fsGroup: 1000", "user of the image"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "not read-only"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "privileges can grow"},
		{"            - ALL", "            - NET_RAW", "capabilities are left"},
		{"enableServiceLinks: false", "hostNetwork: true", "namespace of its node"},
		{"      automountServiceAccountToken: false", "      automountServiceAccountToken: true", "token of Kubernetes"},
		{"\nautomountServiceAccountToken: false", "", "token of Kubernetes"},
		{"serviceAccountName: terra-reconcile", "serviceAccountName: default", "another ServiceAccount"},
		{"      - emptyDir:\n          medium: Memory\n          sizeLimit: 64Mi\n        name: tmp", "      - hostPath: {path: /tmp}\n        name: tmp", "folder of the node"},
		{"sizeLimit: 64Mi", "sizeLimit: null", "has no limit"},
		{"defaultMode: 288", "defaultMode: 420", "others can read"},
		{"mountPath: /etc/terra-reconcile\n          name: config\n          readOnly: true", "mountPath: /etc/terra-reconcile\n          name: config", "can be written"},
		{"mountPath: /etc/terra-reconcile\n", "mountPath: /etc/terra-reconcile/daemon.yaml\n          subPath: daemon.yaml\n", "one file"},
		{"terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 5", "does not fit"},
		{"            memory: 512Mi", "            cpu: 1", "resources are open"},
		// Which program.
		{"terra-reconcile:0.1.0", "terra-reconcile:latest", "not pinned"},
		{"terra-reconcile:0.1.0", "terra-reconcile", "not pinned"},
		{"      - image:", "      - args: [--dry-run]\n        image:", "another command"},
		// daemon.yaml, as our own loader reads it.
		{"apply: false", "aply: false", "daemon.yaml:"},
		{"token_file: /run/secrets/terra-reconcile/git-token", "token: ghp_x", "holds a secret"},
		{"token_file: /run/secrets/terra-reconcile/git-token", "token: x", "daemon.yaml:"},
		{"  daemon.yaml: |", "  git-token: x\n  daemon.yaml: |", "another file"},
		{"/run/secrets/terra-reconcile/age-identity", "/run/secrets/age-identity", "in no Secret"},
		{"token_file: /run/secrets/terra-reconcile/git-token", "token_env: GIT_TOKEN", "no variable"},
		{"    apply: false", "    state_dir: /var/lib/terra-reconcile\n    apply: false", "the state is in"},
		{"    apply: false", "    apply: true", "an example applies"},
		{"listen: 0.0.0.0:8080", "listen: 127.0.0.1:8080", "listens on"},
		{"containerPort: 8080", "containerPort: 8081", "listens on"},
		{"    web:\n      read: {token_file: /run/secrets/terra-reconcile/web-read}\n", "", "the page is"},
		// Probes.
		{"path: /healthz", "path: /health", "no probe asks for /healthz"},
		{"path: /readyz", "path: /healthz", "no probe asks for /readyz"},
		{"scheme: HTTPS", "scheme: HTTP", "another scheme"},
		{"timeoutSeconds: 5", "timeoutSeconds: 1", "impatient"},
		// A node is drained.
		{"maxUnavailable: 1", "minAvailable: 1", "from being drained"},
		{"maxUnavailable: 1", "maxUnavailable: 0", "from being drained"},
		// Who speaks with it.
		{"    - port: 22\n      protocol: TCP\n", "", "lets out to"},
		{"    - port: 443", "    - port: 80", "lets out to"},
		{"    - port: 53\n      protocol: UDP\n", "", "lets out to"},
		{"  egress:\n", "  egress:\n  - {}\n", "to any port"},
		{"  - Egress\n", "", "leaves a direction open"},
		{"          kubernetes.io/metadata.name: monitoring\n      podSelector:\n        matchLabels:\n          app.kubernetes.io/name: prometheus", "          {}", "lets anybody in"},
		{"    - port: http\n      protocol: TCP", "    - port: 8081\n      protocol: TCP", "lets in at"},
		{"    port: http\n    scheme: https", "    port: web\n    scheme: https", "asks elsewhere"},
		{"targetPort: http", "targetPort: 80", "does not lead"},
		{"publishNotReadyAddresses: true", "type: LoadBalancer\n  publishNotReadyAddresses: true", "opens the daemon"},
		{"path: /metrics", "path: /", "asks elsewhere"},
		{"    scheme: https\n", "", "any certificate"},
		{"      serverName: terra-reconcile.terra-reconcile.svc\n", "      insecureSkipVerify: true\n", "any certificate"},
		{"serverName: terra-reconcile.", "serverName: other.", "another name"},
		{"key: web-read", "key: web-approve", "another token"},
		{"      ca:\n        secret:\n          key: ca.crt\n          name: terra-reconcile-tls", "      ca:\n        secret:\n          key: ca.crt\n          name: other", "another certificate"},
	}
}
