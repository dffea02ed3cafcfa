{{- define "latchkey.name" -}}
{{- if contains "latchkey" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-latchkey" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "latchkey.selector" -}}
app.kubernetes.io/name: latchkey
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Those of the pods that serve, which the Job's are not. */}}
{{- define "latchkey.servingSelector" -}}
{{ include "latchkey.selector" . }}
app.kubernetes.io/component: serve
{{- end }}

{{- define "latchkey.labels" -}}
{{ include "latchkey.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "latchkey.image" -}}
{{- $repository := required "image.repository is not set: no registry has the image, so build it with the Dockerfile and push it to yours" .Values.image.repository }}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "latchkey.secret" -}}
{{- if and .Values.secrets.existingSecret .Values.secrets.values }}{{ fail "secrets.existingSecret and secrets.values are both set: it may be one of them" }}{{ end }}
{{- if not (or .Values.secrets.existingSecret .Values.secrets.values) }}{{ fail "secrets.existingSecret is not set: name the Secret that has the database's address and the keys, or give them as secrets.values" }}{{ end }}
{{- .Values.secrets.existingSecret | default (include "latchkey.name" .) }}
{{- end }}

{{- /* The settings that are files for `migrate`, by their variable: those of databases alone. */}}
{{- define "latchkey.migrationFiles" -}}
{{- $files := pick .Values.secrets.files "LATCHKEY_DATABASE_URL_FILE" "LATCHKEY_DIRECT_DATABASE_URL_FILE" "LATCHKEY_SHARDS_FILE" }}
{{- if .Values.migration.databaseURLFile }}{{ $files = dict "LATCHKEY_DATABASE_URL_FILE" .Values.migration.databaseURLFile }}{{ end }}
{{- toJson $files }}
{{- end }}

{{- /* The entries of a Secret made of values, for a list of its keys. */}}
{{- define "latchkey.secretData" -}}
{{- range $key := .keys }}
{{ $key }}: {{ required (printf "secrets.values has no %s" $key) (get $.values $key) | b64enc | quote }}
{{- end }}
{{- end }}

{{- define "latchkey.filesEnv" -}}
{{- range $name, $key := . }}
{{- if $key }}
- {name: {{ $name }}, value: /etc/latchkey/{{ $key }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* The volume with some keys of a Secret, each a file that the pod's user and group may read. */}}
{{- define "latchkey.volume" -}}
- name: secrets
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}

{{- /* What both pods have: any user that is not root, and no way to become another one. */}}
{{- define "latchkey.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with get .Values "runAsUser" }}
  runAsUser: {{ int64 . }}
  {{- end }}
  {{- with get .Values "fsGroup" }}
  fsGroup: {{ int64 . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "latchkey.container" -}}
image: {{ include "latchkey.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: secrets, mountPath: /etc/latchkey, readOnly: true}
{{- end }}
