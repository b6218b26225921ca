{{/* The name of the control plane's objects. */}}
{{- define "waymark.name" -}}
{{- if contains "waymark" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-waymark" (.Release.Name | trunc 42 | trimSuffix "-") }}{{ end -}}
{{- end }}

{{- define "waymark.selector" -}}
app.kubernetes.io/name: waymark
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
{{- end }}

{{- define "waymark.labels" -}}
{{ include "waymark.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "waymark.gatewaySelector" -}}
app.kubernetes.io/name: waymark-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.gateway.name }}
{{- end }}

{{/* The labels of the proxies are labels of their pods, too. */}}
{{- define "waymark.gatewayLabels" -}}
{{ include "waymark.gatewaySelector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "waymark.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Where the Envoys of a fleet have the module. */}}
{{- define "waymark.modulePath" -}}
{{- if eq .Values.module.source "imageVolume" }}/etc/waymark/plugin.wasm{{ else if eq .Values.module.kind "small" }}/etc/waymark/waymark-small.wasm{{ else }}/etc/waymark/waymark.wasm{{ end -}}
{{- end }}

{{/* HOST:PORT of the control plane. */}}
{{- define "waymark.xdsAddress" -}}
{{ .Values.gateway.xdsAddress | default (printf "%s.%s.svc:%v" (include "waymark.name" .) .Release.Namespace .Values.xds.port) }}
{{- end }}

{{/* The command line of the control plane: all that is known of its flags is here. */}}
{{- define "waymark.serveArgs" -}}
- serve
- --kubernetes
- --identity=$(POD_NAME)
- --lease=$(POD_NAMESPACE)/waymark
{{- if not .Values.controlPlane.readSecrets }}
- --without-secrets
{{- end }}
- --xds-listen=:{{ .Values.xds.port }}
- --xds-cert=/etc/waymark/xds/tls.crt
- --xds-key=/etc/waymark/xds/tls.key
- --xds-client-ca=/etc/waymark/xds/ca.crt
{{- if .Values.xds.anyNode }}
- --xds-any-node
{{- end }}
- --health-listen=:{{ .Values.controlPlane.healthPort }}
- --state-dir=/var/lib/waymark
- --waves={{ .Values.controlPlane.waves }}
- --wave-interval={{ .Values.controlPlane.waveInterval }}
- --wave-max-errors={{ .Values.controlPlane.waveMaxErrors }}
- --matching={{ .Values.matching }}
{{- if ne .Values.module.source "none" }}
- --module={{ include "waymark.modulePath" . }}
{{- end }}
{{- with .Values.envoyVersion }}
- --envoy-version={{ . }}
{{- end }}
{{- if .Values.webhook.enabled }}
- --webhook-listen=:{{ .Values.webhook.port }}
- --webhook-cert=/etc/waymark/webhook/tls.crt
- --webhook-key=/etc/waymark/webhook/tls.key
{{- end }}
- --log-format={{ .Values.controlPlane.logFormat }}
{{- with .Values.controlPlane.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What every container may do: nothing. */}}
{{- define "waymark.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Pods on different nodes. Of a dict: mode, and labels as text. */}}
{{- define "waymark.antiAffinity" -}}
podAntiAffinity:
{{- if eq .mode "required" }}
  requiredDuringSchedulingIgnoredDuringExecution:
  - topologyKey: kubernetes.io/hostname
    labelSelector:
      matchLabels:
        {{- .labels | nindent 8 }}
{{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
  - weight: 100
    podAffinityTerm:
      topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- .labels | nindent 10 }}
{{- end }}
{{- end }}

{{/*
What an Envoy of a fleet starts with: files/bootstrap.json is what 'waymark bootstrap' prints, and who the Envoy is, is put in.
Of a dict: root, address, fleet, namespace, labels, proxy.
*/}}
{{- define "waymark.bootstrap" -}}
{{- $b := .root.Files.Get "files/bootstrap.json" | fromJson }}
{{- $parts := splitList ":" .address }}
{{- $host := initial $parts | join ":" }}
{{- $_ := set $b.node "cluster" .fleet }}
{{- $_ := set $b.node.metadata "NAMESPACE" .namespace }}
{{- $_ := set $b.node.metadata "LABELS" (.labels | default dict) }}
{{- $_ := set $b.node.metadata "PROXY" .proxy }}
{{- if eq .proxy "sidecar" }}{{ $_ := unset $b "overload_manager" }}{{ end }}
{{- $cluster := index $b.static_resources.clusters 0 }}
{{- $endpoint := index (index $cluster.load_assignment.endpoints 0).lb_endpoints 0 }}
{{- $_ := set $endpoint.endpoint.address.socket_address "address" $host }}
{{- $_ := set $endpoint.endpoint.address.socket_address "port_value" (last $parts | int) }}
{{- $tls := $cluster.transport_socket.typed_config }}
{{- $_ := set $tls "sni" $host }}
{{- $_ := set (index $tls.common_tls_context.combined_validation_context.default_validation_context.match_typed_subject_alt_names 0).matcher "exact" $host }}
{{- $b | toPrettyJson }}
{{- end }}
