// Command api runs the Latchkey session service and the tasks around it: migrations, clean-up, keys, and an
// operator's view of the sessions. It is the only part of Latchkey that reads the environment.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}
