// Command program does nothing. It takes the place of the service in the test of a release.
package main

func main() {}
