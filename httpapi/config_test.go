package httpapi_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-sessions/latchkey/httpapi"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, test := range map[string]struct {
		change func(*httpapi.Config)
		want   string
	}{
		"no issuer":         {func(c *httpapi.Config) { c.Issuer = "" }, "Issuer"},
		"issuer no URL":     {func(c *httpapi.Config) { c.Issuer = "auth.example.com" }, "Issuer"},
		"issuer with slash": {func(c *httpapi.Config) { c.Issuer += "/" }, "Issuer"},
		"issuer with query": {func(c *httpapi.Config) { c.Issuer += "?a=b" }, "Issuer"},
		"issuer as pattern": {func(c *httpapi.Config) { c.Issuer += "/*" }, "Issuer"},
		"no key":            {func(c *httpapi.Config) { c.ServiceKeys = nil }, "ServiceKeys"},
		"key without name":  {func(c *httpapi.Config) { c.ServiceKeys[0].Name = "" }, "no name"},
		"short key":         {func(c *httpapi.Config) { c.ServiceKeys[0].Secret = "short-secret" }, "32 or more"},
		"key with space":    {func(c *httpapi.Config) { c.ServiceKeys[0].Secret = serviceKey + " " }, "Authorization"},
		"two of a name": {func(c *httpapi.Config) {
			c.ServiceKeys = append(c.ServiceKeys, httpapi.ServiceKey{Name: "backend", Secret: otherKey})
		}, "two service keys"},
		"two of a secret": {func(c *httpapi.Config) {
			c.ServiceKeys = append(c.ServiceKeys, httpapi.ServiceKey{Name: "operator", Secret: serviceKey})
		}, "secret of another"},
		// Security 18.
		"any origin":       {func(c *httpapi.Config) { c.CORSOrigins = []string{"*"} }, "CORS origin"},
		"wildcard":         {func(c *httpapi.Config) { c.CORSOrigins = []string{"https://*.example.com"} }, "CORS origin"},
		"null origin":      {func(c *httpapi.Config) { c.CORSOrigins = []string{"null"} }, "CORS origin"},
		"origin with path": {func(c *httpapi.Config) { c.CORSOrigins = []string{testOrigin + "/"} }, "CORS origin"},
		"default port":     {func(c *httpapi.Config) { c.CORSOrigins = []string{testOrigin + ":443"} }, "CORS origin"},
		"long address":     {func(c *httpapi.Config) { c.CORSOrigins = []string{"http://[0:0::1]:5173"} }, "::1"},
		"no name":          {func(c *httpapi.Config) { c.CORSOrigins = []string{"https://ü--.example"} }, "CORS origin"},
		"bare host":        {func(c *httpapi.Config) { c.CORSOrigins = []string{"app.example.com"} }, "CORS origin"},
		"rate limit":       {func(c *httpapi.Config) { c.RateLimit = -1 }, "RateLimit"},
		"session's limit":  {func(c *httpapi.Config) { c.SessionRateLimit = -1 }, "SessionRateLimit"},
		"timeout":          {func(c *httpapi.Config) { c.ReadTimeout = -time.Second }, "ReadTimeout"},
		"proxy":            {func(c *httpapi.Config) { c.TrustedProxies = []netip.Prefix{{}} }, "TrustedProxies"},
	} {
		cfg := httpapi.Config{Issuer: testIssuer, ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}}}
		test.change(&cfg)
		_, err := httpapi.New(s.store, s.keys, cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want something about %s", name, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), serviceKey) || strings.Contains(err.Error(), "short-secret")) {
			t.Errorf("%s: the error has the key", name)
		}
	}
	if _, err := httpapi.New(nil, s.keys, httpapi.Config{}); err == nil {
		t.Error("a server without a store")
	}
}

// A bubble ends only when its goroutines have: one that New left behind would
// be reported as a deadlock.
func TestNewStartsNoGoroutine(t *testing.T) {
	t.Parallel()
	s := setup(t)
	synctest.Test(t, func(t *testing.T) {
		if _, err := httpapi.New(s.store, s.keys, httpapi.Config{
			Issuer: testIssuer, ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}},
			CORSOrigins: []string{testOrigin}, RateLimit: 10,
		}); err != nil {
			t.Error(err)
		}
	})
}
