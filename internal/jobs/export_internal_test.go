package jobs

import "time"

// WebhookAttempts and WebhookPause let black-box tests look at the backoff.
const WebhookAttempts = webhookAttempts

func WebhookPause(attempt int) time.Duration { return webhookPause(attempt) }
