package soak_test

import (
	"context"
	"math/rand/v2"
	"syscall"
	"time"
)

// chaos breaks one thing after the other until the storm ends. Everything was started again when it returns, or will be soon.
func (s *soak) chaos() {
	dice := s.dice("chaos")
	breaks := []func(*rand.Rand){s.killOne, s.killBoth, s.restartOne, s.killDatabase, s.restartDatabase, s.cutConnections, s.flip}
	for i := 0; s.pause(between(dice, 500*time.Millisecond, 2*time.Second)); i++ {
		if i%len(breaks) == 0 { // each of them soon, also in a short run
			dice.Shuffle(len(breaks), func(i, j int) { breaks[i], breaks[j] = breaks[j], breaks[i] })
		}
		s.breathe()
		breaks[i%len(breaks)](dice)
	}
}

func (s *soak) killOne(dice *rand.Rand) {
	s.end(dice.IntN(len(s.services)), syscall.SIGKILL, "broken: service killed")
}

func (s *soak) killBoth(*rand.Rand) {
	for i := range s.services {
		s.end(i, syscall.SIGKILL, "broken: service killed, with the other one")
	}
}

// restartOne is a roll-out.
func (s *soak) restartOne(dice *rand.Rand) {
	s.end(dice.IntN(len(s.services)), syscall.SIGTERM, "broken: service stopped")
}

func (s *soak) end(i int, signal syscall.Signal, as string) {
	if s.services[i].signal(signal) {
		s.tally.add(as)
	}
}

// murder kills a service that is about something. It may be called from any goroutine.
func (s *soak) murder(as string) {
	for _, i := range rand.Perm(len(s.services)) {
		if s.services[i].signal(syscall.SIGKILL) {
			s.tally.add("broken: service killed " + as)
			return
		}
	}
}

func (s *soak) killDatabase(dice *rand.Rand) {
	s.tally.add("broken: database killed")
	s.servers.Primary.Kill()
	time.Sleep(between(dice, 0, 1500*time.Millisecond))
	s.servers.Primary.Start()
}

func (s *soak) restartDatabase(dice *rand.Rand) {
	s.tally.add("broken: database stopped")
	s.servers.Primary.Stop()
	time.Sleep(between(dice, 0, 500*time.Millisecond))
	s.servers.Primary.Start()
}

// cutConnections is what a failover, or a firewall, does to the services.
func (s *soak) cutConnections(*rand.Rand) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	const query = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'latchkey%'`
	if _, err := s.pool.Exec(ctx, query); err == nil {
		s.tally.add("broken: database connections")
	}
}
