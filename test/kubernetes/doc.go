// Package kubernetes has no code: its tests check the Helm chart of deploy/helm and the manifests of deploy/kubernetes
// against Kubernetes' schemas, the settings, and a running service. It is a separate module, so that no other module
// inherits Helm's requirements.
package kubernetes
