package jobs

import "time"

// Hurried looks for jobs and for overdue reports so often that a test does not wait for either.
func Hurried(cfg Config) Config {
	cfg.times.poll, cfg.times.overdue = 100*time.Millisecond, 100*time.Millisecond
	return cfg
}

// Patient waits for a webhook, and until it looks for jobs without a notification, for longer than any test lasts.
func Patient(cfg Config) Config {
	const never = time.Hour
	cfg.times.poll, cfg.times.overdue, cfg.times.webhook = never, never, never
	cfg.times.job = -1 // which is no limit
	return cfg
}
