{{/* Everything has the name of the release. */}}
{{- define "terra-reconcile.selector" -}}
app.kubernetes.io/name: terra-reconcile
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "terra-reconcile.labels" -}}
{{ include "terra-reconcile.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "terra-reconcile.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* daemon.yaml: the values, and what belongs to the pod. */}}
{{- define "terra-reconcile.daemon" -}}
{{- $more := dict "listen" "0.0.0.0:8080" -}}
{{- if .Values.page.enabled -}}
{{- $web := dict "read" (dict "token_file" "/run/secrets/terra-reconcile/web-read") -}}
{{- if .Values.page.approve -}}
{{- $_ := set $web "approve" (dict "token_file" "/run/secrets/terra-reconcile/web-approve") -}}
{{- end -}}
{{- $_ := set $more "tls" (dict "cert_file" "/run/tls/terra-reconcile/tls.crt" "key_file" "/run/tls/terra-reconcile/tls.key") -}}
{{- $_ := set $more "web" $web -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $more | toYaml -}}
{{- end -}}
