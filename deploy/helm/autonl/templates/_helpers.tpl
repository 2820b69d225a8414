{{- define "autonl.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "autonl.selector" -}}
app.kubernetes.io/name: autonl
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "autonl.labels" -}}
{{ include "autonl.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "autonl.claim" -}}
{{- .Values.data.existingClaim | default (printf "%s-data" (include "autonl.name" .)) -}}
{{- end -}}

{{/* Where the servers are (from the secret), and the settings of all processes. */}}
{{- define "autonl.env" -}}
{{- $secret := required "secrets.name is empty: name the secret with the URLs of PostgreSQL and of the broker" .Values.secrets.name -}}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ .Values.secrets.databaseUrlKey }} } }
- name: BROKER_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ .Values.secrets.brokerUrlKey }} } }
{{- with .Values.secrets.artifactUrlKey }}
- name: ARTIFACT_URL
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }} } }
{{- end }}
- name: AUTONL_DATA_DIR
  value: /var/lib/autonl
- name: AUTONL_METRICS_HOST
  value: 0.0.0.0
{{- if .Values.datasets.existingClaim }}
- name: AUTONL_DATASET_ROOTS
  value: /datasets
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "autonl.image" -}}
image: {{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{- define "autonl.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A Deployment of one container. Of its argument: root, component, own (its values), image, command, port (of probes
and metrics), env, graceSeconds, probe (path for liveness), ready (readiness probe). */}}
{{- define "autonl.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "autonl.name" $root }}-{{ .component }}
  labels: {{- include "autonl.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .own.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- include "autonl.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "autonl.labels" . | nindent 8 }}
    spec:
      {{- include "autonl.pod" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ .graceSeconds }}
      {{- with .own.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .own.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "autonl.selector" . | nindent 14 }}
      containers:
        - name: {{ .component }}
          {{- include "autonl.image" . | nindent 10 }}
          command: {{ toJson .command }}
          env:
            {{- include "autonl.env" $root | nindent 12 }}
            {{- range $name, $value := .env }}
            - name: {{ $name }}
              value: {{ $value | toString | quote }}
            {{- end }}
          ports:
            - { name: http, containerPort: {{ .port }} }
          # alive: it answers at all. A database that is away is no reason to restart anything.
          startupProbe:
            httpGet: { path: {{ .probe }}, port: http }
            periodSeconds: 5
            failureThreshold: 36
          livenessProbe:
            httpGet: { path: {{ .probe }}, port: http }
            periodSeconds: 30
            timeoutSeconds: 10
            failureThreshold: 4
          readinessProbe: {{- .ready | nindent 12 }}
          resources: {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /var/lib/autonl }
            - { name: tmp, mountPath: /tmp }
            {{- if $root.Values.datasets.existingClaim }}
            - { name: datasets, mountPath: /datasets, readOnly: true }
            {{- end }}
            {{- if .own.sharedMemory }}
            - { name: shm, mountPath: /dev/shm }
            {{- end }}
      volumes:
        - name: data
          persistentVolumeClaim: { claimName: {{ include "autonl.claim" $root }} }
        - name: tmp
          emptyDir: {}
        {{- with $root.Values.datasets.existingClaim }}
        - name: datasets
          persistentVolumeClaim: { claimName: {{ . }}, readOnly: true }
        {{- end }}
        {{- with .own.sharedMemory }}
        - name: shm
          emptyDir: { medium: Memory, sizeLimit: {{ . }} }
        {{- end }}
{{- end -}}

{{/* Ready: the database has this version's tables, and the broker responds. */}}
{{- define "autonl.serversAnswer" -}}
exec: { command: [python, -P, -m, store.readiness] }
periodSeconds: 60
timeoutSeconds: 20
{{- end -}}
