package kubernetes_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// selects reports whether labels are those of an object.
func selects(selector any, labels map[string]string) bool {
	wanted, _ := selector.(map[string]any)
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return len(wanted) > 0
}

// The services lead to the pods that serve, each to its listener, and never to the Job's.
func TestServices(t *testing.T) {
	t.Parallel()
	for name, values := range variants(t) {
		all := objects(t, mustRender(t, values...))
		serving := find(t, all, "Deployment", "").Spec.Template.Metadata.Labels
		for suffix, port := range map[string]string{"": "public", "-internal": "internal"} {
			service := find(t, all, "Service", suffix)
			if !selects(service.Spec.Selector, serving) {
				t.Errorf("%s: the service latchkey%s does not lead to the pods", name, suffix)
			}
			if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].TargetPort != port {
				t.Errorf("%s: the service latchkey%s leads to %v", name, suffix, service.Spec.Ports)
			}
			for _, one := range all {
				if one.Kind == "Job" && selects(service.Spec.Selector, one.Spec.Template.Metadata.Labels) {
					t.Errorf("%s: the service latchkey%s leads to the Job", name, suffix)
				}
			}
		}
	}
}

// The budget counts the pods that serve, and not the Job's.
func TestPodDisruptionBudget(t *testing.T) {
	t.Parallel()
	all := objects(t, mustRender(t, required))
	selector, _ := find(t, all, "PodDisruptionBudget", "").Spec.Selector.(map[string]any)
	if !selects(selector["matchLabels"], find(t, all, "Deployment", "").Spec.Template.Metadata.Labels) {
		t.Error("the budget does not count the pods that serve")
	}
	if selects(selector["matchLabels"], find(t, all, "Job", "-migrate").Spec.Template.Metadata.Labels) {
		t.Error("the budget counts the Job's pod")
	}
}

// From outside only the public listener can be reached, under the issuer's name.
func TestIngress(t *testing.T) {
	t.Parallel()
	rule := find(t, objects(t, mustRender(t, required, everything)), "Ingress", "").Spec.Rules
	if len(rule) != 1 || rule[0].Host != "login.example.com" || len(rule[0].HTTP.Paths) != 1 || rule[0].HTTP.Paths[0].Backend.Service.Name != "latchkey" {
		t.Errorf("the Ingress has %+v", rule)
	}
}

// The internal listener, with the metrics, is for those with the label and for those that are named.
func TestNetworkPolicy(t *testing.T) {
	t.Parallel()
	label := map[string]string{"latchkey-internal-client": "true"}
	monitoring := map[string]string{"kubernetes.io/metadata.name": "monitoring"}
	for values, more := range map[string][]map[string]string{"": nil, everything: {monitoring}} {
		all := objects(t, mustRender(t, required, values))
		policy := find(t, all, "NetworkPolicy", "").Spec
		serving := find(t, all, "Deployment", "").Spec.Template.Metadata.Labels
		for name, value := range policy.PodSelector.MatchLabels {
			if serving[name] != value {
				t.Error("the policy is not about the pods that serve")
			}
		}
		var got []map[string]string
		for _, rule := range policy.Ingress {
			if len(rule.Ports) != 1 {
				t.Fatalf("a rule is about the ports %v", rule.Ports)
			}
			if rule.Ports[0].Port == "public" {
				continue
			}
			for _, from := range rule.From {
				labels := map[string]string{}
				if from.PodSelector != nil {
					maps.Copy(labels, from.PodSelector.MatchLabels)
				}
				if from.NamespaceSelector != nil {
					maps.Copy(labels, from.NamespaceSelector.MatchLabels)
				}
				got = append(got, labels)
			}
		}
		if diff := cmp.Diff(append([]map[string]string{label, label}, more...), got); diff != "" {
			t.Errorf("who may reach the internal listener (-want +got):\n%s", diff)
		}
	}
}

// Prometheus calls the replicas by the name that the alerts know, and finds them by the internal service alone.
func TestServiceMonitor(t *testing.T) {
	t.Parallel()
	all := objects(t, mustRender(t, required, everything))
	monitor := find(t, all, "ServiceMonitor", "")
	internal, public := find(t, all, "Service", "-internal").Metadata.Labels, find(t, all, "Service", "").Metadata.Labels
	if job := internal[monitor.Spec.JobLabel]; job != "latchkey" {
		t.Errorf("the job is %q", job)
	}
	selector, _ := monitor.Spec.Selector.(map[string]any)
	if !selects(selector["matchLabels"], internal) || selects(selector["matchLabels"], public) {
		t.Errorf("the ServiceMonitor selects by %v", selector)
	}
}
