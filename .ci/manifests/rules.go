package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
)

const (
	user       = 65532 // of the image
	stateDir   = "/state"
	configDir  = "/etc/terra-reconcile"
	stopsIn    = 10  // seconds in which the daemon ends
	historyMiB = 880 // 110 files of 8 MiB
)

// expected is what differs between ways of installing.
type expected struct {
	page     bool     // the page and /metrics are served, and watched
	monitor  bool     // by a ServiceMonitor
	policy   bool     // a NetworkPolicy is there
	from     bool     // which lets somebody in
	egress   []string // and goes out to these
	ownClaim bool     // the claim is somebody else's
}

func usual(monitored bool) expected {
	return expected{page: monitored, monitor: monitored, policy: true, from: monitored, egress: []string{"TCP 22", "TCP 443", "TCP 53", "UDP 53"}}
}

// judge says all that is wrong with a set.
func (s set) judge(want expected) error {
	for kind, n := range map[string]int{
		"Deployment": 1, "ServiceAccount": 1, "ConfigMap": 1, "PersistentVolumeClaim": number(!want.ownClaim), "PodDisruptionBudget": 1,
		"NetworkPolicy": number(want.policy), "Service": 1, "ServiceMonitor": number(want.monitor),
	} {
		if s.kinds[kind] != n {
			return fmt.Errorf("%d objects of %s, want %d", s.kinds[kind], kind, n)
		}
	}
	runner, err := s.judgeConfig(want)
	if err != nil {
		return err
	}
	return errors.Join(s.judgeWriter(want), s.judgePod(runner), s.judgeProbes(runner), s.judgeDrain(), s.judgeNetwork(want, runner), s.judgeMonitor(runner))
}

func number(there bool) int {
	if there {
		return 1
	}
	return 0
}

// judgeConfig reads daemon.yaml as the daemon does, and looks for each file that it names.
func (s set) judgeConfig(want expected) (config.Config, error) {
	data := s.configs[0].Data
	text := data["daemon.yaml"]
	if len(data) != 1 || len(s.configs[0].BinaryData) > 0 {
		return config.Config{}, errors.New("the ConfigMap holds another file than daemon.yaml")
	}
	if found := looksSecret.FindString(text); found != "" {
		return config.Config{}, fmt.Errorf("the ConfigMap holds a secret: %s…", found)
	}
	container := s.deployments[0].Spec.Template.Spec.Containers[0]
	c, err := config.Parse(path.Join(configDir, "daemon.yaml"), []byte(text), func(name string) string {
		return map[string]string{"RECONCILE_STATE_DIR": stateDir}[name]
	})
	if err != nil {
		return c, fmt.Errorf("daemon.yaml: %w", err)
	}
	if c.StateDir != stateDir {
		return c, fmt.Errorf("daemon.yaml: the state is in %s", c.StateDir)
	}
	if c.Apply {
		return c, errors.New("daemon.yaml: an example applies")
	}
	if c.TLS.IsSet() != want.page || (c.Web != nil) != want.page {
		return c, errors.New("daemon.yaml: the page is on, or off, and should not be")
	}
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return c, err
	}
	mounts := map[string]string{}
	for _, m := range container.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}
	for _, line := range values("", tree) {
		place, value, _ := strings.Cut(line, " = ")
		switch {
		case strings.HasSuffix(place, "_env"):
			if !slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == value }) {
				return c, fmt.Errorf("daemon.yaml: %s is no variable of the pod", value)
			}
		case strings.HasSuffix(place, "_file"), strings.Contains(place, ".files["), strings.HasPrefix(place, ".repo.verify.") && path.IsAbs(value):
			if v := s.volume(mounts[path.Dir(value)]); v == nil || v.Secret == nil {
				return c, fmt.Errorf("daemon.yaml: %s is in no Secret that is mounted", value)
			}
		}
	}
	return c, nil
}

// looksSecret are the beginnings of what must not stand in a ConfigMap.
var looksSecret = regexp.MustCompile(`terra_at_|AGE-SECRET-KEY-|PRIVATE KEY|whsec_|ghp_|github_pat_|glpat-`)

func (s set) volume(name string) *corev1.Volume {
	volumes := s.deployments[0].Spec.Template.Spec.Volumes
	if i := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Name == name }); i >= 0 {
		return &volumes[i]
	}
	return nil
}

// judgeWriter: one process writes the state, which outlives it.
func (s set) judgeWriter(want expected) error {
	d := s.deployments[0].Spec
	state := s.volume("state")
	switch {
	case d.Replicas == nil || *d.Replicas != 1:
		return errors.New("replicas: one process writes the state")
	case d.Strategy.Type != "Recreate" || d.Strategy.RollingUpdate != nil:
		return errors.New("strategy: an old pod has to end before the next begins")
	case state == nil || state.PersistentVolumeClaim == nil || state.PersistentVolumeClaim.ReadOnly:
		return errors.New("the state is on no claim")
	case want.ownClaim:
		return nil
	}
	claim := s.claims[0]
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	switch {
	case claim.Name != state.PersistentVolumeClaim.ClaimName:
		return errors.New("the pod uses another claim")
	case !slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}):
		return errors.New("accessModes: one node writes the state")
	case size.Cmp(resource.MustParse(fmt.Sprintf("%dMi", historyMiB*3/2))) < 0:
		return fmt.Errorf("the claim of %s is too small for the history", size.String())
	}
	return nil
}

// judgePod: what it may do on its node.
func (s set) judgePod(runner config.Config) error {
	d := s.deployments[0].Spec
	pod := d.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers)+len(pod.EphemeralContainers) > 0 {
		return errors.New("another container than reconcile")
	}
	var found []error
	report := func(wrong bool, what string) {
		if wrong {
			found = append(found, errors.New(what))
		}
	}
	c := pod.Containers[0]
	sc, csc := cmp.Or(pod.SecurityContext, &corev1.PodSecurityContext{}), cmp.Or(c.SecurityContext, &corev1.SecurityContext{})
	report(pod.HostNetwork || pod.HostPID || pod.HostIPC, "the pod uses a namespace of its node")
	report(pod.ServiceAccountName != s.accounts[0].Name, "the pod has another ServiceAccount")
	report(!isFalse(pod.AutomountServiceAccountToken) || !isFalse(s.accounts[0].AutomountServiceAccountToken), "a token of Kubernetes is mounted")
	report(!isTrue(sc.RunAsNonRoot) || !is(sc.RunAsUser, user) || !is(sc.RunAsGroup, user) || !is(sc.FSGroup, user), "the pod does not run as the user of the image")
	report(sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "seccompProfile is not that of the runtime")
	report(!isTrue(csc.ReadOnlyRootFilesystem), "the root is not read-only")
	report(!isFalse(csc.AllowPrivilegeEscalation) || isTrue(csc.Privileged), "privileges can grow")
	report(csc.Capabilities == nil || len(csc.Capabilities.Add) > 0 || !slices.Equal(csc.Capabilities.Drop, []corev1.Capability{"ALL"}), "capabilities are left")
	report(csc.RunAsUser != nil || csc.RunAsGroup != nil || csc.RunAsNonRoot != nil || csc.SeccompProfile != nil, "the container overrides the pod")
	report(!pinned.MatchString(c.Image), "the image is not pinned to a version")
	report(len(c.Command)+len(c.Args) > 0, "the image starts another command")
	grace := pod.TerminationGracePeriodSeconds
	report(grace == nil || *grace < stopsIn+5 || *grace > 60, "terminationGracePeriodSeconds does not fit the ten seconds that a stop takes")
	report(c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero(), "resources are open")
	report(!c.Resources.Limits.Cpu().IsZero(), "a limit of cpu slows down what has deadlines")
	report(!selects(d.Selector.MatchLabels, d.Template.Labels), "the Deployment does not select its pod")

	writable := []string{stateDir, "/tmp"}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		mounted[m.Name] = true
		report(!m.ReadOnly && !slices.Contains(writable, m.MountPath), m.MountPath+" can be written")
		report(m.SubPath != "" || m.SubPathExpr != "", m.MountPath+" is one file: a new one would not be seen")
		report(m.MountPath == stateDir && m.Name != "state", "the state is on another volume")
		report(m.MountPath == configDir && (s.volume(m.Name) == nil || s.volume(m.Name).ConfigMap == nil || s.volume(m.Name).ConfigMap.Name != s.configs[0].Name), "daemon.yaml is not that of the ConfigMap")
	}
	for _, v := range pod.Volumes {
		report(!mounted[v.Name], "the volume "+v.Name+" is not mounted")
		report(v.HostPath != nil, "the volume "+v.Name+" is a folder of the node")
		report(v.ConfigMap == nil && v.Secret == nil && v.PersistentVolumeClaim == nil && v.EmptyDir == nil, "the volume "+v.Name+" is of another kind")
		report(v.EmptyDir != nil && (v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit == nil), "the volume "+v.Name+" has no limit")
		report(v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440), "others can read the files of "+v.Name)
	}
	report(!slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" }), "/tmp cannot be written")
	return errors.Join(found...)
}

// pinned is an image that a name stands for once and for all.
var pinned = regexp.MustCompile(`^[a-z0-9][-a-z0-9./_]*(:[0-9]+)?[-a-z0-9./_]*:v?[0-9]+\.[0-9]+\.[0-9]+[-.0-9A-Za-z_]*(@sha256:[0-9a-f]{64})?$`)

func isTrue(b *bool) bool        { return b != nil && *b }
func isFalse(b *bool) bool       { return b != nil && !*b }
func is(n *int64, of int64) bool { return n != nil && *n == of }

func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

// judgeProbes: they ask for what the daemon serves, where it serves it.
func (s set) judgeProbes(runner config.Config) error {
	c := s.deployments[0].Spec.Template.Spec.Containers[0]
	if len(c.Ports) != 1 || c.Ports[0].HostPort != 0 || runner.Listen != fmt.Sprintf("0.0.0.0:%d", c.Ports[0].ContainerPort) {
		return fmt.Errorf("the daemon listens on %s, and the pod has the ports %+v", runner.Listen, c.Ports)
	}
	scheme := corev1.URISchemeHTTP
	if runner.TLS.IsSet() {
		scheme = corev1.URISchemeHTTPS
	}
	for page, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		switch {
		case probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != page:
			return fmt.Errorf("no probe asks for %s", page)
		case probe.HTTPGet.Port != intstr.FromString(c.Ports[0].Name):
			return fmt.Errorf("the probe of %s asks at another port", page)
		case cmp.Or(probe.HTTPGet.Scheme, corev1.URISchemeHTTP) != scheme:
			return fmt.Errorf("the probe of %s speaks another scheme than %s", page, scheme)
		case probe.TimeoutSeconds < 5:
			return fmt.Errorf("the probe of %s is impatient", page)
		}
	}
	return nil
}

// judgeDrain: a budget for one pod that asks for one would hold up a drain for ever.
func (s set) judgeDrain() error {
	b := s.budgets[0].Spec
	switch {
	case b.MinAvailable != nil || b.MaxUnavailable == nil || *b.MaxUnavailable != intstr.FromInt32(1):
		return errors.New("the budget keeps a node from being drained")
	case !selects(b.Selector.MatchLabels, s.deployments[0].Spec.Template.Labels):
		return errors.New("the budget is about another pod")
	}
	return nil
}

// judgeNetwork: out to names, git and Terra, in from whom the way of installing says.
func (s set) judgeNetwork(want expected, runner config.Config) error {
	labels := s.deployments[0].Spec.Template.Labels
	service := s.services[0].Spec
	if !selects(service.Selector, labels) || len(service.Ports) != 1 || service.Ports[0].TargetPort != intstr.FromString("http") || !service.PublishNotReadyAddresses {
		return errors.New("the Service does not lead to the pod")
	}
	if cmp.Or(service.Type, corev1.ServiceTypeClusterIP) != corev1.ServiceTypeClusterIP {
		return errors.New("the Service opens the daemon to others than the cluster")
	}
	if !want.policy {
		return nil
	}
	p := s.policies[0].Spec
	if !selects(p.PodSelector.MatchLabels, labels) || len(p.PodSelector.MatchExpressions) > 0 {
		return errors.New("the NetworkPolicy is about another pod")
	}
	if !slices.Equal(p.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
		return errors.New("the NetworkPolicy leaves a direction open")
	}
	if (len(p.Ingress) > 0) != want.from {
		return errors.New("the NetworkPolicy lets in whom it should not, or nobody")
	}
	for _, rule := range p.Ingress {
		if len(rule.From) == 0 || slices.ContainsFunc(rule.From, isAnybody) {
			return errors.New("the NetworkPolicy lets anybody in")
		}
		if got := ports(rule.Ports); !slices.Equal(got, []string{"TCP http"}) {
			return fmt.Errorf("the NetworkPolicy lets in at %q", got)
		}
	}
	var out []string
	for _, rule := range p.Egress {
		if len(rule.Ports) == 0 {
			return errors.New("the NetworkPolicy lets out to any port")
		}
		out = append(out, ports(rule.Ports)...)
	}
	slices.Sort(out)
	if !slices.Equal(out, want.egress) {
		return fmt.Errorf("the NetworkPolicy lets out to %q, want %q", out, want.egress)
	}
	return nil
}

func isAnybody(peer networkingv1.NetworkPolicyPeer) bool {
	return peer.PodSelector == nil && peer.IPBlock == nil && (peer.NamespaceSelector == nil || len(peer.NamespaceSelector.MatchLabels)+len(peer.NamespaceSelector.MatchExpressions) == 0)
}

func ports(list []networkingv1.NetworkPolicyPort) (out []string) {
	for _, p := range list {
		if p.Protocol == nil || p.Port == nil || p.EndPort != nil {
			out = append(out, "any")
			continue
		}
		out = append(out, string(*p.Protocol)+" "+p.Port.String())
	}
	return out
}

// judgeMonitor: Prometheus finds the pod, trusts its certificate and shows a token that it may
// read.
func (s set) judgeMonitor(runner config.Config) error {
	for _, m := range s.monitors {
		if !selects(m.Spec.Selector.MatchLabels, s.services[0].Labels) || m.Spec.JobLabel != "app.kubernetes.io/name" || m.Labels[m.Spec.JobLabel] != "terra-reconcile" {
			return errors.New("the ServiceMonitor finds no Service")
		}
		if len(m.Spec.Endpoints) != 1 {
			return errors.New("the ServiceMonitor has not one endpoint")
		}
		e := m.Spec.Endpoints[0]
		token, tls := e.Authorization, e.TLSConfig
		secrets := slices.Collect(maps.Values(s.secretsByFolder()))
		switch {
		case e.Port != s.services[0].Spec.Ports[0].Name || e.Path != "/metrics":
			return errors.New("the ServiceMonitor asks elsewhere")
		case e.Scheme == nil || e.Scheme.String() != "https" || tls == nil || tls.InsecureSkipVerify != nil || tls.ServerName == nil || tls.CA.Secret == nil:
			return errors.New("the ServiceMonitor believes any certificate")
		case !strings.HasPrefix(*tls.ServerName, s.services[0].Name+".") || !strings.HasSuffix(*tls.ServerName, ".svc"):
			return errors.New("the ServiceMonitor expects another name")
		case token == nil || token.Credentials == nil || token.Type != "" && token.Type != "Bearer":
			return errors.New("the ServiceMonitor shows no token")
		case !slices.Contains(secrets, token.Credentials.Name) || runner.Web.Read.File() != s.folderOf(token.Credentials.Name)+"/"+token.Credentials.Key:
			return errors.New("the ServiceMonitor shows another token than the daemon reads")
		case runner.TLS.CertFile != s.folderOf(tls.CA.Secret.Name)+"/tls.crt":
			return errors.New("the ServiceMonitor trusts the issuer of another certificate")
		}
	}
	return nil
}

// secretsByFolder gives the Secret behind each folder.
func (s set) secretsByFolder() map[string]string {
	out := map[string]string{}
	for _, m := range s.deployments[0].Spec.Template.Spec.Containers[0].VolumeMounts {
		if v := s.volume(m.Name); v != nil && v.Secret != nil {
			out[m.MountPath] = v.Secret.SecretName
		}
	}
	return out
}

func (s set) folderOf(secret string) string {
	for folder, name := range s.secretsByFolder() {
		if name == secret {
			return folder
		}
	}
	return "nowhere"
}

// judgeVolume reads the pod by which people reach the state: on the claim of the base, as the
// user to whom its files belong, and not taken for the daemon.
func judgeVolume(text string, base set) error {
	pods, err := add([]corev1.Pod(nil), text)
	if err != nil {
		return err
	}
	pod := pods[0]
	sc := cmp.Or(pod.Spec.SecurityContext, &corev1.PodSecurityContext{})
	switch {
	case pod.APIVersion != "v1" || pod.Kind != "Pod" || len(pod.Spec.Containers) != 1:
		return errors.New("no pod")
	case !is(sc.RunAsUser, user) || !is(sc.RunAsGroup, user) || !is(sc.FSGroup, user) || !isTrue(sc.RunAsNonRoot):
		return errors.New("the files that it makes belong to another user than the daemon's")
	case selects(base.services[0].Spec.Selector, pod.Labels):
		return errors.New("the Service leads to it")
	case len(pod.Spec.Volumes) != 1 || pod.Spec.Volumes[0].PersistentVolumeClaim == nil || pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != base.claims[0].Name:
		return errors.New("it is not on the claim of the state")
	case !pinned.MatchString(pod.Spec.Containers[0].Image):
		return errors.New("its image is not pinned to a version")
	}
	return nil
}
