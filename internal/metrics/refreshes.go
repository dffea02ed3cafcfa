package metrics

// Refreshes returns how many refresh tokens were presented to this process, by outcome.
func (m *Metrics) Refreshes() map[string]int64 {
	totals := map[string]int64{}
	families, _ := m.registry.Gather() // a faulty metric is not among them
	for _, family := range families {
		if family.GetName() != namespace+"_refreshes_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "outcome" {
					totals[label.GetValue()] += int64(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return totals
}
