// Package must ends a run at the first thing that fails. A figure beside a failure is worth nothing, so nothing in the
// benchmark goes on after one: what fails panics with its error, and [Run] returns it. Each goroutine has a Run of its
// own.
package must

// failure tells an error that ends a run from a fault of the program.
type failure struct{ error }

// Do panics with the error, if it is one.
func Do(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// Get returns the value, or panics with the error.
func Get[T any](value T, err error) T {
	Do(err)

	return value
}

// Run calls f, and returns the error that ended it.
func Run(f func()) (err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case failure:
			err = why.error
		default:
			panic(why)
		}
	}()
	f()

	return nil
}
