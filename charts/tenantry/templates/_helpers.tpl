{{- define "tenantry.labels" -}}
{{- if ne .Release.Namespace "tenantry-system" -}}
{{- fail (printf "The operator and its admission policies know each other by the namespace tenantry-system; install the chart with --namespace tenantry-system --create-namespace, and not in %s." .Release.Namespace) -}}
{{- end -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tenantry.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tenantry.args" -}}
{{- if ne .Values.policyEnforcement "Enforce" }}
- --policy-enforcement={{ .Values.policyEnforcement }}
{{- end }}
{{- with .Values.clusterDNS }}
- {{ printf "--cluster-dns=%s" . | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
