package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rules are habits of other languages that readers of English stumble over.
var rules = []struct {
	habit  *regexp.Regexp
	advice string
}{
	{
		regexp.MustCompile(`(?i)\b(?:he|him|his|himself|she|her|hers|herself)\b`),
		"a user, an operator or an attacker is they",
	},
	{
		// A who that nobody stands before: "Who has it can make tokens". Questions and headings have one, too.
		regexp.MustCompile(`(?:^|[.:;|] +\**|\b(?:so|only|but|or|that|because|where|while|for|by|to|of|than) )[Ww]ho (?:has|have|had|wants|calls|comes|finds|asks|answers|creates|presents|signs|reads|writes|is|checks|can|does|listens|may|embeds|knows|lags|waits|hangs|gives|needs|uses|sends|gets|takes)\b[^?]*$`),
		"who stands for nobody: anyone who, whoever, those who, or what is meant by it",
	},
	{
		regexp.MustCompile(`(?i)\btold by nobody\b|\bfor the second's sake\b|\bno such way back\b|\bis no toy\b|\bis nothing to have\b|\bneed not fear\b`),
		"an understatement hides the point: say what happens",
	},
	{
		regexp.MustCompile(`(?i)\b(?:requests|refreshes|sign-ins|operations|checks|rows|bytes|events|commits|statements) an? (?:second|minute|hour|day|request|core)\b`),
		"per is the word for rates",
	},
	{
		regexp.MustCompile(`(?i)\bfor ever\b`),
		"forever",
	},
	{
		regexp.MustCompile(`(?i)\bat the (?:most|least)\b(?:[.,;:)]|$)`),
		"at most, at least, with a figure behind it",
	},
	{
		regexp.MustCompile(`(?i)\b(?:for whomever|whom (?:everybody|everyone)|be it by|if need be|in vain|not to be had|hardly anybody|is a matter of)\b`),
		"say it with a verb and its subject: whoever asked, even, if necessary, timed out, is not available",
	},
	{
		regexp.MustCompile(`(?i)\bthat (?:is|are) to be\b`),
		"a duty is must, a plan is an infinitive: the row to store",
	},
	{
		regexp.MustCompile(`(?i)\b(?:has|have) not (?:its|the|a|an|all)\b`),
		"lacks, or does not have",
	},
	{
		regexp.MustCompile(`(?i)\b(?:authenticate|sign in|signs in|begin|begins|beginning|start|sealed|written|issued|read|planned) anew\b`),
		"again, or a verb with re-: start over, reseal, rewrite, reissue",
	},
	{
		regexp.MustCompile(`(?i)\b(?:that|which) (?:is|are) there twice\b|\bis none of (?:ours|the|these|those|%s)\b`),
		"duplicate; is not one of",
	},
	{
		regexp.MustCompile(`(?i)\b(?:RFC(?: \d+)?(?: §[\d.]+)?|Validate|Decode|version \d+|linkinator` + "`" + `) wants\b`),
		"software and specifications require",
	},
	{
		regexp.MustCompile(`(?i)\bfrom (?:Go|chi)'s own makers\b|\bthe field's own\b|\bnot kept up\b`),
		"maintained by, the standard tool, unmaintained",
	},
	{
		regexp.MustCompile(`^#+ (?:What|Who|Whose|Why|How|Where|Which|When) [^?]*$`),
		"a heading is a noun phrase, a task or a question, not a clause",
	},
	{
		regexp.MustCompile(`(?i)\b(?:informations|softwares|advices|equipments|feedbacks)\b|\bactual (?:version|state) of the art\b|\bin the moment\b|\bdepends from\b|\bsince (?:\d+|two|three|some) (?:years|months|days|hours|minutes)\b`),
		"English has another word for it",
	},
}

// spared are lines that a rule is wrong about, each a part of one and why.
var spared = map[string]string{
	"who is who":                  "an idiom",
	"who may act":                 "the title of a list of constants",
	"who may write":               "an indirect question",
	"ann herself":                 "an actor's name",
	"who knows that subject":      "the description of iss, which says who",
	"# how it works":              "what readers of English look for",
	"# how to ":                   "the title of a task",
	"# when not to use it":        "a common title in comparisons",
	"# when something goes wrong": "a common title of what to do then",
	"# where tokens belong":       "the name by which the chapter is cited everywhere",
}

// Documents, help, errors, logs and comments are written as a native technical writer has them. Only what a program can
// tell is looked for.
func TestEnglish(t *testing.T) {
	t.Parallel()
	files := 0
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if slices.Contains([]string{"node_modules", "var", "bin", "testdata", "dist"}, entry.Name()) || strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2 {
				return fs.SkipDir
			}
			return nil
		case strings.HasSuffix(path, "_test.go") || !slices.Contains([]string{".go", ".md", ".ts", ".tsx", ".mjs", ".yaml", ".yml", ".sql", ".sh", ".html", ".tmpl"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			check(t, path, n, prose(path, strings.TrimSpace(line)))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files were read", files)
	}
}

// prose is a line without the marks of a comment or a list.
func prose(path, line string) string {
	if filepath.Ext(path) != ".md" {
		line = strings.TrimLeft(line, "/*#- \t")
	}
	return strings.TrimPrefix(strings.TrimPrefix(line, "- "), "> ")
}

func check(t *testing.T, path string, n int, line string) {
	t.Helper()
	for part := range spared {
		if strings.Contains(strings.ToLower(line), strings.ToLower(part)) {
			return
		}
	}
	for _, rule := range rules {
		if found := rule.habit.FindString(line); found != "" {
			t.Errorf("%s:%d: %q: %s\n\t%s", path, n, strings.TrimSpace(found), rule.advice, line)
		}
	}
}
