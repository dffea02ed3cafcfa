package httpapi

import "testing"

// RFC 6454 §6.2: an origin that is not as browsers send it would never match.
func TestBrowserOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "https://app.example.com:8443": "https://app.example.com:8443",
		"http://localhost:5173": "http://localhost:5173", "capacitor://localhost": "capacitor://localhost",
		"https://app.example.com:80": "https://app.example.com:80", "http://app.example.com:443": "http://app.example.com:443",
		"https://my_app.example.com": "https://my_app.example.com", "https://a~b.example": "https://a~b.example", // no names of hosts for idna
		"http://192.0.2.1": "http://192.0.2.1", "http://[::1]:5173": "http://[::1]:5173",
		"https://münchen.example": "https://xn--mnchen-3ya.example", "https://münchen.example:8443": "https://xn--mnchen-3ya.example:8443",
		// Refused.
		"": "", "null": "", "*": "", "https://*": "", "https://*.example.com": "", "app.example.com": "", "https:": "", "https://": "", "https://:8443": "", "//app.example.com": "",
		"https://app.example.com/": "", "https://app.example.com?a": "", "https://app.example.com#a": "", "https://ann@app.example.com": "", "https://app.example.com:": "",
		"HTTPS://app.example.com": "", "https://App.example.com": "", "https://app.ex%61mple.com": "", "https://app example.com": "", "https://[::1": "",
		"https://app.example.com:443": "", "http://app.example.com:80": "", "http://[0:0::1]:5173": "", "https://ü--.example": "", "https://Ü.example": "",
	} {
		got, err := browserOrigin(origin)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; want %q", origin, got, err, want)
		}
	}
}
