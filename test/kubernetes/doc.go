// Package kubernetes has no code: its tests hold the Helm chart of deploy/helm and the manifests of deploy/kubernetes
// against Kubernetes' schemas, the settings, and a service that runs. It is a module of its own, so that nobody else gets
// Helm's requirements.
package kubernetes
