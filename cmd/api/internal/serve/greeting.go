package serve

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
)

// greeting is for a person who is trying out the service. The commands work pasted one by one or all at once into bash
// and zsh, and need nothing but curl and sed. A line that is not indented is not a command; comments do not work in an
// interactive zsh.
const greeting = `Latchkey is ready, with a private PostgreSQL below %[1]s. Ctrl-C stops both; the data stays.

  public     %[2]s  for browsers and apps
  internal   %[3]s  for your own backends, with %[4]s

To try it, paste the indented lines into another shell. Create a session, as your backend does after a login:

    TOKENS=$(curl -s %[3]s/v1/sessions -H "Authorization: Bearer %[5]s" -H 'Content-Type: application/json' -d '{"subject":"ada","data":{"cart":[1,2]}}')
    token() { printf '%%s' "$TOKENS" | sed 's/.*"'"$1"'": *"\([^"]*\)".*/\1/'; }
    echo "$TOKENS"

Use its access token, as your app does:

    curl -s -w '\n' %[2]s/v1/me/sessions/current -H "Authorization: Bearer $(token access_token)"

Exchange the refresh token for a new pair:

    TOKENS=$(curl -s %[2]s/oauth2/token -d grant_type=refresh_token -d refresh_token="$(token refresh_token)")
    echo "$TOKENS"

Log out, which answers 204:

    curl -s -o /dev/null -w '%%{http_code}\n' -X DELETE %[2]s/v1/me/sessions/current -H "Authorization: Bearer $(token access_token)"

All settings: %[6]s --help
`

// greet prints the service's address, and commands to try it with. The service key is not in them, only its
// file.
func (s *service) greet(w io.Writer) error {
	dir, err := filepath.Abs(string(s.VarDir))
	if err != nil {
		return err
	}
	file := filepath.Join(dir, keyfiles.ServiceKey)
	where, key := "the key in "+file, "$(cat "+shellQuote(file)+")"
	if len(s.ServiceKeys) > 0 || s.ServiceKeysFile != "" {
		where, key = "a key of yours: put its secret in $SERVICE_KEY", "$SERVICE_KEY"
	}
	_, err = fmt.Fprintf(w, greeting, dir, baseURL(s.public, string(s.PublicAddr)), baseURL(s.internal, string(s.InternalAddr)), where, key, os.Args[0])
	return err
}

// shellQuote quotes a word for a shell, even within double quotes and $( ).
func shellQuote(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("/._-+~@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
