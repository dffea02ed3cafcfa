package clients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippet is a code block of a document below the name of the file that it is taken from.
var snippet = regexp.MustCompile("(?ms)^<!-- from ((?:test/clients|clients/js)/\\S+) -->\n```\\w+\n(.*?)^```$")

// The code that the documents show for each library is the code that is tested here.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"clients.md", "native-apps.md"} {
		found := snippet.FindAllStringSubmatch(readDocument(t, document), -1)
		if len(found) == 0 {
			t.Errorf("docs/%s shows nothing that is tried here", document)
		}
		for _, match := range found {
			source, err := os.ReadFile(filepath.Join("..", "..", match[1]))
			if err != nil {
				t.Error(err)
				continue
			}
			if !strings.Contains(unindent(string(source)), unindent(match[2])) {
				t.Errorf("docs/%s shows what is not in %s:\n%s", document, match[1], match[2])
			}
		}
	}
}

// unindent returns a text whose lines begin with what is not space.
func unindent(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
}

// gatewayBlocks returns the code blocks of docs/gateways.md in a language.
func gatewayBlocks(t *testing.T, language string) (blocks []string) {
	t.Helper()
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readDocument(t, "gateways.md"), -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
