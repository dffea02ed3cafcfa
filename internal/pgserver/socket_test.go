//go:build unix

package pgserver_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// Only the server's user can put anything where the server is expected.
func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	dir := database(t)
	server := start(t, dir)

	for path, want := range map[string]fs.FileMode{
		server.String(): fs.ModeDir | 0o700,
		filepath.Join(server.String(), ".s.PGSQL.5432"): fs.ModeSocket | 0o700,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want || owner(t, path) != owner(t, filepath.Join(dir, "postgres", "data")) {
			t.Errorf("%s has mode %v and belongs to uid %d", path, info.Mode(), owner(t, path))
		}
	}
	line, err := exec.CommandContext(t.Context(), "ps", "-o", "args=", "-p", strconv.Itoa(postmasterPID(t, dir))).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(line), " listen_addresses= ") || strings.Contains(string(line), password(t, server)) {
		t.Errorf("the process list shows %s", line)
	}
}

// A folder that others could have made, or made a socket in, is not connected to.
func TestAttachLooksAtTheFolder(t *testing.T) {
	t.Parallel()
	dir := database(t)
	server := start(t, dir)
	socket := server.String()
	refused := func(what string) {
		t.Helper()
		_, err := pgserver.Attach(t.Context(), dir)
		if err == nil || !strings.Contains(err.Error(), socket+" has mode ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want what is wrong with it", what, err)
		}
	}

	if err := os.Chmod(socket, 0o755); err != nil {
		t.Fatal(err)
	}
	refused("everyone may enter it")
	if err := os.Chmod(socket, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(socket, socket+"-real"), os.Symlink(socket+"-real", socket)); err != nil {
		t.Fatal(err)
	}
	refused("it is a link")
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Remove(socket), os.Rename(socket+"-real", socket), os.Chown(socket, 12345, -1)); err != nil {
			t.Fatal(err)
		}
		refused("it is another user's")
	}

	// The next start makes it again.
	stop(t, server)
	again := start(t, dir)
	if _, err := pgserver.Attach(t.Context(), dir); err != nil || again.String() != socket {
		t.Errorf("attached to %s: %v", again, err)
	}
}

func TestFolderWithAnyName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), `a b+c&d=e%20#f?ü'`)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server := start(t, dir)
	keep(t, server)
	if server.String() != filepath.Join(dir, "postgres", "socket") {
		t.Errorf("the socket is in %s", server)
	}
	if attached, err := pgserver.Attach(t.Context(), dir); err != nil || attached.URL("x") != server.URL("x") {
		t.Errorf("attached to %s: %v", attached, err)
	}
}

// A path with a socket in it is limited to some 100 bytes, and a comma means two paths.
func TestFolderThatCanHaveNoSocket(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("long/", 30), "a,b", `a"b`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(folder(t), name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			addDatabase(t, dir)
			server := start(t, dir)
			keep(t, server)
			address, socket := server.URL("x"), server.String()
			if strings.HasPrefix(socket, dir) {
				t.Errorf("the socket is in %s", socket)
			}
			if info, err := os.Lstat(socket); err != nil || info.Mode() != fs.ModeDir|0o700 {
				t.Errorf("%v, %v", info, err)
			}
			if attached, err := pgserver.Attach(t.Context(), dir); err != nil || attached.URL("x") != address {
				t.Errorf("attached to %s: %v", attached, err)
			}

			stop(t, server)
			if _, err := os.Lstat(filepath.Dir(socket)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder of the socket is left: %v", err)
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if server.URL("x") != address {
				t.Errorf("the server is at %s now, and was at %s", server.URL("x"), address)
			}
			kept(t, server)
		})
	}
}

// A process that takes the server's place learns nothing, and no client continues with it.
func TestImpostor(t *testing.T) {
	t.Parallel()
	server := start(t, database(t))
	stop(t, server)
	secret := password(t, server)

	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(server.String(), ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // what was served is looked at below
	for _, impostor := range []struct {
		what string
		asks pgproto3.BackendMessage
	}{
		{"asks for the password", &pgproto3.AuthenticationCleartextPassword{}},
		{"asks for its MD5", &pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}},
		{"asks for nothing", &pgproto3.AuthenticationOk{}},
		{"pretends to know it", &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}},
	} {
		// A client that trusts any server may wait for an answer that the impostor does not send.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		told := make(chan string, 1)
		go func() { told <- serveAsImpostor(listener, impostor.asks) }()
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		if err == nil {
			t.Errorf("a process that %s is taken for the server", impostor.what)
			_ = conn.Close(ctx)
		}
		var answer string
		select {
		case answer = <-told:
		case <-ctx.Done():
			t.Fatalf("a server that %s is waited for", impostor.what)
		}
		if _, ok := impostor.asks.(*pgproto3.AuthenticationSASL); ok == (answer == "") || strings.Contains(answer, secret) {
			t.Errorf("a server that %s receives %q", impostor.what, answer)
		}
	}
}

// serveAsImpostor asks one client for what it has, and returns all that it says after its name.
func serveAsImpostor(listener net.Listener, asks pgproto3.BackendMessage) string {
	conn, err := listener.Accept()
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }() // nothing is to be read any more
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err.Error()
	}
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return err.Error()
	}
	say := func(messages ...pgproto3.BackendMessage) {
		for _, message := range messages {
			backend.Send(message)
		}
		_ = backend.Flush() // the client may have gone
	}
	var told strings.Builder
	listen := func() (said string) {
		message, err := backend.Receive()
		if err != nil {
			return ""
		}
		switch message := message.(type) {
		case *pgproto3.SASLInitialResponse:
			said = string(message.Data)
		case *pgproto3.SASLResponse:
			said = string(message.Data)
		case *pgproto3.PasswordMessage:
			said = message.Password
		default:
			said = "something else"
		}
		told.WriteString(said)
		return said
	}
	complete := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}}
	switch asks.(type) {
	case *pgproto3.AuthenticationOk:
		say(complete...)
		listen()
	case *pgproto3.AuthenticationSASL:
		say(asks)
		_ = backend.SetAuthType(pgproto3.AuthTypeSASL)
		_, nonce, _ := strings.Cut(listen(), "r=")
		say(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=" + nonce + "x,s=c2FsdHNhbHQ=,i=4096")})
		_ = backend.SetAuthType(pgproto3.AuthTypeSASLContinue)
		listen()
		say(append([]pgproto3.BackendMessage{&pgproto3.AuthenticationSASLFinal{Data: []byte("v=c2lnbmF0dXJl")}}, complete...)...)
	default:
		say(asks)
		listen()
	}

	return told.String()
}

// libpq's variables are about other servers.
func TestLibpqVariables(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var variables []string
	for _, name := range []string{
		"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGSERVICE",
		"PGSERVICEFILE", "PGOPTIONS", "PGAPPNAME", "PGSSLMODE", "PGREQUIRESSL", "PGSSLNEGOTIATION", "PGSSLCOMPRESSION", "PGSSLCERT", "PGSSLKEY",
		"PGSSLCERTMODE", "PGSSLPASSWORD", "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI", "PGREQUIREPEER", "PGSSLMINPROTOCOLVERSION",
		"PGSSLMAXPROTOCOLVERSION", "PGGSSENCMODE", "PGKRBSRVNAME", "PGGSSLIB", "PGGSSDELEGATION", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING",
		"PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGDATESTYLE", "PGTZ", "PGGEQO",
		"PGSYSCONFDIR", "PGLOCALEDIR", "PGDATA",
	} {
		variables = append(variables, name+"=nonsense")
	}

	own(t, dir, variables...) // fails where the owner cannot connect
}
