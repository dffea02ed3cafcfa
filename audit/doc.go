// Package audit writes down who created, updated and ended which session: one
// JSON object a line, apart from the log of requests.
//
// It promises that an event tells of something that has happened, after its
// commit; that no token, key or session data is in one; and that no request waits
// for the stream to be written. What could not be written is counted, and said in
// the log. docs/audit.md describes the events, docs/audit.schema.json defines them.
//
// A program that embeds the packages makes a [Log], runs it, and has the store
// tell it what it does:
//
//	trail, err := audit.New(audit.Config{Output: file, Origin: httpapi.Origin})
//	go trail.Run(ctx)
//	cfg.Observers = append(cfg.Observers, trail.Sessions()) // cfg is a sessionstore.Config
//
// Who acts is what [WithOrigin] put into the context, or, with httpapi.Origin,
// who sent the request.
package audit
