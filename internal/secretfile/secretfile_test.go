//go:build unix

package secretfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/secretfile"
)

// secret returns the path of a file with these modes, of itself and of its folder.
func secret(t *testing.T, mode, folder fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(dir, "key")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(path, []byte("secret"), 0o600), os.Chmod(path, mode), os.Chmod(dir, folder)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what         string
		mode, folder fs.FileMode
		exposed      bool
	}{
		{"made here", 0o600, 0o700, false},
		{"read only", 0o400, 0o755, false},
		{"Kubernetes, with fsGroup", 0o440, fs.ModeSticky | 0o777, false},
		{"Kubernetes", 0o644, fs.ModeSticky | 0o777, true},
		{"Docker", 0o444, 0o755, true},
		{"a checkout of a user with a group of their own", 0o640, 0o775, false},
	} {
		path := secret(t, test.mode, test.folder)
		content, err := secretfile.Read(path)
		if err != nil || string(content) != "secret" {
			t.Errorf("%s: %q, %v", test.what, content, err)
		}
		var log strings.Builder
		secretfile.WarnOfReadable(slog.New(slog.NewTextHandler(&log, nil)), "", path)
		want := fmt.Sprintf(`level=WARN msg="every user of this machine can read a secret" file=%s mode=%04o`, path, test.mode)
		if warned := strings.Contains(log.String(), want); warned != test.exposed || !test.exposed && log.Len() > 0 {
			t.Errorf("%s: logged %q", test.what, log.String())
		}
	}
}

// A file is read as its writer meant it, or refused.
func TestOnlyText(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"\ufeffsecret\r\n":                       "secret\r\n",
		"s\u00e9cret":                            "s\u00e9cret",
		"":                                       "",
		"\xff\xfes\x00e\x00c\x00r\x00e\x00t\x00": "", // UTF-16 with a byte order mark
		"s\x00e\x00c\x00r\x00e\x00t\x00":         "", // and without
		"s\xe9cret":                              "", // ISO 8859-1
	} {
		path := secret(t, 0o600, 0o700)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := secretfile.Read(path)
		if string(got) != want || (err != nil) != (want == "" && content != "") {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		if err != nil && (!errors.Is(err, secretfile.ErrNotText) || err.Error() != path+": not text in UTF-8") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestWhatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what         string
		mode, folder fs.FileMode
		want         string
	}{
		{"everyone", 0o666, 0o700, "PATH has mode 0666: other users may write it; only its owner may (chmod 600 PATH)"},
		{"the group", 0o660, 0o700, "PATH has mode 0660: other users may write it; only its owner may (chmod 600 PATH)"},
		{"everyone, without reading it", 0o602, 0o700, "PATH has mode 0602: other users may write it; only its owner may (chmod 600 PATH)"},
		{
			"everyone, by replacing it", 0o600, 0o777,
			"PATH is in a folder with mode 0777: other users may write it, by replacing it; the folder must not be world-writable (chmod o-w FOLDER)",
		},
	} {
		path := secret(t, test.mode, test.folder)
		content, err := secretfile.Read(path)
		want := strings.NewReplacer("PATH", path, "FOLDER", filepath.Dir(path)).Replace(test.want)
		if !errors.Is(err, secretfile.ErrWritable) || err.Error() != want || content != nil {
			t.Errorf("%s: %q, %v; want %s", test.what, content, err, want)
		}
	}
}

// A link is as good as what it leads to, and as the folder that it is in.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := func(target string, folder fs.FileMode) string {
		path := filepath.Join(filepath.Dir(secret(t, 0o600, 0o700)), "link")
		if err := errors.Join(os.Symlink(target, path), os.Chmod(filepath.Dir(path), folder)); err != nil {
			t.Fatal(err)
		}
		return path
	}

	if content, err := secretfile.Read(link(secret(t, 0o600, 0o700), 0o700)); err != nil || string(content) != "secret" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := secretfile.Read(link(secret(t, 0o666, 0o700), 0o700)); !errors.Is(err, secretfile.ErrWritable) {
		t.Errorf("got %v, want ErrWritable for what it leads to", err)
	}
	if _, err := secretfile.Read(link(secret(t, 0o600, 0o700), 0o777)); !errors.Is(err, secretfile.ErrWritable) {
		t.Errorf("got %v, want ErrWritable for the folder of the link", err)
	}
	if _, err := secretfile.Read(link(filepath.Join(t.TempDir(), "gone"), 0o700)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

// A user who may rename a folder on the way, or a link, decides what the path leads
// to.
func TestEveryFolderOnTheWay(t *testing.T) {
	t.Parallel()
	path := secret(t, 0o600, 0o700)
	loose := filepath.Join(t.TempDir(), "loose")
	deep := filepath.Join(loose, "a", "b")
	below := filepath.Join(deep, "key")
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(loose, "second")
	folder, back := filepath.Join(t.TempDir(), "folder"), filepath.Join(t.TempDir(), "back")
	loop := filepath.Join(t.TempDir(), "loop")
	if err := errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(below, []byte("secret"), 0o600),
		os.Symlink(second, first), os.Symlink(path, second), // a link that leads to one in a loose folder
		os.Symlink(deep, folder), os.Symlink("../../"+filepath.Base(filepath.Dir(filepath.Dir(folder)))+"/"+filepath.Base(filepath.Dir(folder))+"/folder/key", back),
		os.Symlink(loop, loop)); err != nil {
		t.Fatal(err)
	}
	paths := []string{below, first, filepath.Join(folder, "key"), back}
	for _, mode := range []fs.FileMode{0o777, 0o703, 0o775, fs.ModeSticky | 0o777} {
		if err := os.Chmod(loose, mode); err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := secretfile.Read(path)
			if mode&0o002 == 0 || mode&fs.ModeSticky != 0 {
				if err != nil || string(content) != "secret" {
					t.Errorf("%v: %s: %q, %v", mode, path, content, err)
				}
			} else if !errors.Is(err, secretfile.ErrWritable) || !strings.HasSuffix(err.Error(), "(chmod o-w "+loose+")") || content != nil {
				t.Errorf("%v: %s: %q, %v", mode, path, content, err)
			}
		}
	}
	if _, err := secretfile.Read(loop); err == nil {
		t.Error("a link to itself is read")
	}
}

// A shell's <(…) has no folder.
func TestPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := w.WriteString("secret"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := secretfile.Read(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	if err != nil || string(content) != "secret" {
		t.Errorf("%q, %v", content, err)
	}
}

// Only root can make another user's file.
func TestFileOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	path := secret(t, 0o600, 0o700)
	if os.Geteuid() != 0 {
		path = "/etc/passwd" // root's, which is allowed
	} else if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := secretfile.Read(path)
	if refused := errors.Is(err, secretfile.ErrWritable); refused != (os.Geteuid() == 0) {
		t.Errorf("got %v", err)
	} else if refused && !strings.Contains(err.Error(), "belongs to uid 12345") {
		t.Errorf("got %v, want whose it is", err)
	}
}
