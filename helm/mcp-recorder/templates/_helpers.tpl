{{/* Names. Everything that the operator makes in the cluster begins with the full name, so it leaves room for what follows. */}}

{{- define "mcp-recorder.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "mcp-recorder.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "mcp-recorder.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mcp-recorder.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mcp-recorder.serviceAccount" -}}
{{- default (include "mcp-recorder.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "mcp-recorder.webhookService" -}}
{{- include "mcp-recorder.fullname" . }}-webhook
{{- end }}

{{- define "mcp-recorder.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mcp-recorder.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mcp-recorder.labels" -}}
{{ include "mcp-recorder.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: mcp-recorder
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image with registry, tag and digest. Call: dict "root" $ "image" .Values.operator.image */}}
{{- define "mcp-recorder.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry | trimSuffix "/" -}}
{{- if $registry }}{{ $registry }}/{{ end -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* What the schema of the values can't see. */}}
{{- define "mcp-recorder.check" -}}
{{- with .Values.sidecar.ports }}
{{- if eq (int .recorder) (int .status) }}
{{- fail (printf "sidecar.ports: recorder and status are both %d; the recorder needs two ports of its own" (int .status)) }}
{{- end }}
{{- end }}
{{- range $name, $store := .Values.stores }}
{{- with $store.s3.encryption }}
{{- if and .keyId (ne .type "SSE-KMS") }}
{{- fail (printf "stores.%s.s3.encryption: keyId only with type SSE-KMS; with SSE-S3 the store has the key" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled (not .Values.monitoring.from) }}
{{- fail "monitoring.podMonitor.enabled needs monitoring.from: the NetworkPolicies admit nobody to the metrics otherwise" }}
{{- end }}
{{- if and .Values.watchNamespaces (has "" .Values.watchNamespaces) }}
{{- fail "watchNamespaces: an empty name; leave the list empty to watch all namespaces" }}
{{- end }}
{{- end }}

{{/* Rights on what stands in the namespaces of recorded servers. */}}
{{- define "mcp-recorder.rulesInNamespaces" -}}
- apiGroups: [mcp-recorder.dev]
  resources: [recordedmcpservers]
  verbs: [get, list, watch, patch]
- apiGroups: [mcp-recorder.dev]
  resources: [recordedmcpservers/status]
  verbs: [patch]
- apiGroups: [mcp-recorder.dev]
  resources: [recordedmcpservers/finalizers]
  verbs: [update]
# Only an annotation is written, so that the kubelet brings a new configuration at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# Only an annotation is written; the webhook changes ports in that very request.
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
# Only the restart annotation of the pod template is written.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch, patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The operator's settings, as operator/settings.ts reads them. */}}
{{- define "mcp-recorder.settings" -}}
{{- $settings := dict
  "fullname" (include "mcp-recorder.fullname" .)
  "namespace" .Release.Namespace
  "serviceAccount" (include "mcp-recorder.serviceAccount" .)
  "cluster" .Values.cluster
  "watchNamespaces" .Values.watchNamespaces
  "sidecar" (dict
    "image" (include "mcp-recorder.image" (dict "root" . "image" .Values.sidecar.image))
    "imagePullPolicy" .Values.sidecar.image.pullPolicy
    "imagePullSecrets" .Values.sidecar.imagePullSecrets
    "ports" .Values.sidecar.ports
    "uid" .Values.sidecar.uid
    "resources" .Values.sidecar.resources
    "drainSeconds" .Values.sidecar.drainSeconds)
  "stores" .Values.stores
  "policy" .Values.policy
  "monitoring" .Values.monitoring.from
  "restrictConnect" .Values.restrictConnect
  "webhook" (dict "service" (include "mcp-recorder.webhookService" .) "port" 9443)
  "status" (dict "port" 8080) -}}
{{ toYaml $settings }}
{{- end }}

{{/* The pod of the operator, for its Deployment and for the job that takes it away. */}}
{{- define "mcp-recorder.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "mcp-recorder.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "mcp-recorder.podEnvironment" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}
