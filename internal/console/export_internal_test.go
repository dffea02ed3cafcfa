package console

// SetCountedAtOnce sets up to about how many live sessions a page counts itself.
func (c *Console) SetCountedAtOnce(n int64) { c.counter.most = n }
