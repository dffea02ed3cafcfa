package docs_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is a habit of other languages that readers of English stumble over.
type rule struct {
	habit  *regexp.Regexp
	advice string
}

// rules hold for every line.
var rules = []rule{
	{
		regexp.MustCompile(`(?i)\b(?:he|him|his|himself|she|her|hers|herself)\b`),
		"a user, an operator or an attacker is they",
	},
	{
		// A "who" without an antecedent: "Who has it can make tokens". Questions and headings have one, too.
		regexp.MustCompile(`(?:^|[.:;|] +\**|\b(?:so|only|but|or|that|because|where|while|for|by|to|of|than) )[Ww]ho (?:has|have|had|wants|calls|comes|finds|asks|answers|creates|presents|signs|reads|writes|is|checks|can|does|listens|may|embeds|knows|lags|waits|hangs|gives|needs|uses|sends|gets|takes)\b[^?]*$`),
		"who stands for nobody: anyone who, those who, or the one that is meant",
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
		regexp.MustCompile(`(?i)\bclean-up\b`),
		"cleanup, as the command and its settings are spelled",
	},
	{
		regexp.MustCompile(`(?i)\b(?:every|some|any)body\b`),
		"everyone, someone, anyone; all users where they are meant",
	},
	{
		regexp.MustCompile(`(?i)\bby hand\b`),
		"manually, directly in the database, or the program that does it",
	},
	{
		regexp.MustCompile(`(?i)\bat the (?:most|least)\b(?:[.,;:)]|$)`),
		"at most, at least, with a figure behind it",
	},
	{
		regexp.MustCompile(`(?i)\b(?:for whomever|whom (?:everybody|everyone)|be it by|if need be|in vain|not to be had|hardly anybody|is a matter of)\b`),
		"say it with a verb and its subject: the caller, even, if necessary, timed out, is not available",
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

// proseRules hold for prose alone, which is comments, Markdown and the text of the OpenAPI document: in code, the same
// words may be names.
var proseRules = []rule{
	{
		regexp.MustCompile(`\bbeside\b`),
		"next to, alongside, in addition to, or compared with",
	},
	{
		regexp.MustCompile(`(?:^|\band )(?:\w+ )?tells whether\b`),
		"reports whether, as Go's documentation has it",
	},
	{
		regexp.MustCompile(`(?i)\b(?:is|are|was|were) no (?:error|good|outage|theft|thief|failure|cache|lock|address|handler|reason|loss|verdict|snapshot|superuser|platform)\b`),
		"is not an error, is not valid",
	},
	{
		regexp.MustCompile(`(?i)\balso (?:if|where|when|while)\b`),
		"even if",
	},
	{
		regexp.MustCompile(`(?i)\b(?:go|goes|went|going) on\b`),
		"continues, keeps, happens",
	},
	{
		regexp.MustCompile(`(?i)\bin the place of\b|\bfrom which on\b`),
		"in place of, above which",
	},
	{
		regexp.MustCompile(`(?i)\b(?:logger|log|observers?|verifiers?) (?:is|are) told\b`),
		"a logger records, observers and verifiers are notified",
	},
	{
		regexp.MustCompile(`(?i)\bmay be used by (?:many|several) goroutines\b`),
		"is safe for concurrent use",
	},
	{
		regexp.MustCompile(`(?i)\bask(?:s|ing)? (?:no database|the database nothing|nobody|without asking (?:anybody|the database))\b|\bwaits? for nobody\b`),
		"sends no query, does not wait",
	},
	{
		regexp.MustCompile(`(?i)\bwhat (?:is|are) to be\b|\bthat are there\b|\bis of no more use\b`),
		"name the thing: the rows to store, existing ones, no longer needed",
	},
	{
		// "What is dropped is counted": a clause in place of a noun.
		regexp.MustCompile(`(?:^|[.;] |: |\| )What (?:a|an|the|it|they|this|that|its|their|our|no|nobody|one|another|is|are|was|were|has|have|had|had been|can|cannot|could|may|must|will|does|do|comes|came|only|each|we|you|Compas|PostgreSQL|docs)\b[^?]*$`),
		"a noun makes the subject: dropped rows, the program's answer",
	},
	{
		regexp.MustCompile(`(?i)\bwhoever\b`),
		"the caller, anyone who, or the one that is meant",
	},
	{
		regexp.MustCompile(`(?i)\b(?:is|are|was|were|be|been|being) told(?:[.,;:)]|$| (?:to|of|that|which|what|when|where|why|how|with|by|in|at|so|only|about)\b)`),
		"is notified, receives, gets, is set to",
	},
	{
		regexp.MustCompile(`(?i)\bas ever\b|\banew(?:[,;:) ]|\.? |\.?$)|\b(?:for|in|after|within) so (?:many|long)\b`),
		"as before, again, for that long",
	},
	{
		regexp.MustCompile(`(?i)\b(?:is|are|was|were) (?:not )?believed\b|\b(?:has|have|had|is|are) (?:not )?heard\b|\bhears? (?:of|nothing)\b`),
		"is trusted, has received",
	},
}

// spared are lines that a rule is wrong about, each a part of one and why.
var spared = map[string]string{
	"who is who":                  "an idiom",
	"anew counts":                 "a function's name",
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

// Documents, help, errors, logs and comments, those of tests too, are written as a native technical writer would write
// them. Only habits that a program can recognize are looked for.
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
		case entry.Name() == "english_test.go" || !slices.Contains([]string{".go", ".md", ".ts", ".tsx", ".mjs", ".js", ".py", ".yaml", ".yml", ".sql", ".sh", ".html", ".tmpl", ".service", ""}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, p := range paragraphs(path, string(text)) {
			check(t, path, p)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files were read", files)
	}
}

// paragraph is text that is read as one, and the line on which it begins.
type paragraph struct {
	line    int
	text    string
	isProse bool
}

var (
	// commentLine matches a line that is nothing but a comment, and finds its text.
	commentLine = regexp.MustCompile(`^(?://|--|#|/?\*+)(?: +(.*))?$`)
	// commentAfter finds the text of a comment after code.
	commentAfter = regexp.MustCompile(`^(?:[^"\x60]|"(?:[^"\\]|\\.)*"|\x60[^\x60]*\x60)*? // (.*)$`)
	// generated matches the beginning of files whose comments come from another file.
	generated = regexp.MustCompile(`^(?s:.{0,200})(?:Code generated by|auto-generated by)`)
)

// paragraphs splits a file into its lines, but joins the lines of a comment, which may be wrapped anywhere. Markdown is
// prose except in blocks of code.
func paragraphs(path, text string) []paragraph {
	var all []paragraph
	hasComments := filepath.Ext(path) != ".md" && !generated.MatchString(text)
	isProse := filepath.Ext(path) == ".md" || filepath.Base(path) == "openapi.yaml"
	isOpen, isRaw, isCode := false, false, false
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		found := commentLine.FindStringSubmatch(line)
		switch {
		case filepath.Ext(path) == ".md" && strings.HasPrefix(line, "```"):
			isCode = !isCode
		case !hasComments || found == nil:
			// Code without a string has no text.
			if filepath.Ext(path) != ".go" || isRaw || strings.ContainsAny(line, "\"`") {
				all = append(all, paragraph{n, prose(path, line), isProse && !isCode})
			}
			isRaw = isRaw != (strings.Count(line, "`")%2 == 1)
			if after := commentAfter.FindStringSubmatch(line); hasComments && after != nil {
				all = append(all, paragraph{n, after[1], true})
			}
			isOpen = false
		case isOpen && found[1] != "" && !strings.HasPrefix(found[1], "- "):
			all[len(all)-1].text += " " + found[1]
		default:
			all = append(all, paragraph{n, strings.TrimPrefix(found[1], "- "), true})
			isOpen = found[1] != ""
		}
	}
	return all
}

// prose is a line without the marks of a comment or a list.
func prose(path, line string) string {
	if filepath.Ext(path) != ".md" {
		line = strings.TrimLeft(line, "/*#- \t")
	}
	return strings.TrimPrefix(strings.TrimPrefix(line, "- "), "> ")
}

func check(t *testing.T, path string, p paragraph) {
	t.Helper()
	all := rules
	if p.isProse {
		all = slices.Concat(rules, proseRules)
	}
	for _, rule := range all {
		if found := rule.habit.FindString(p.text); found != "" && !isSpared(p.text) {
			t.Errorf("%s:%d: %q: %s\n\t%s", path, p.line, strings.TrimSpace(found), rule.advice, p.text)
		}
	}
}

func isSpared(text string) bool {
	text = strings.ToLower(text)
	for part := range spared {
		if strings.Contains(text, strings.ToLower(part)) {
			return true
		}
	}
	return false
}

// A habit is found across the lines of a comment, and one for comments only there.
func TestParagraphs(t *testing.T) {
	t.Parallel()
	const text = `package p

// Done tells whether it is, in the
// place of its caller.
//
//   - Go ahead.
var beside = "beside" // what runs beside it
`
	got := map[int][]string{}
	for _, p := range paragraphs("p.go", text) {
		all := rules
		if p.isProse {
			all = slices.Concat(rules, proseRules)
		}
		for _, rule := range all {
			if found := rule.habit.FindString(p.text); found != "" {
				got[p.line] = append(got[p.line], strings.TrimSpace(found))
			}
		}
	}
	if want := map[int][]string{3: {"Done tells whether", "in the place of"}, 7: {"beside"}}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, p := range paragraphs("p.md", "It goes on.\n\n```go\nfor b := range beside {\n```\n\nbeside it\n") {
		if want := p.text != "for b := range beside {"; p.isProse != want {
			t.Errorf("%+v, want %t", p, want)
		}
	}
	if got := paragraphs("p.go", "// Code generated by a tool. DO NOT EDIT.\n\n// beside"); slices.ContainsFunc(got, func(p paragraph) bool { return p.isProse }) {
		t.Errorf("a generated file: %v", got)
	}
}

// Each habit is found, and what resembles it is not.
func TestRules(t *testing.T) {
	t.Parallel()
	finds := func(text string) bool {
		return slices.ContainsFunc(slices.Concat(rules, proseRules), func(r rule) bool { return r.habit.MatchString(text) })
	}
	for _, text := range []string{
		"Clean-up removes it.", "Somebody has it.", "It is everybody's.", "It was done by hand.", "The session goes on.",
		"What is dropped is counted.", "It ends. What the caller sent stays.", "Whoever has it may use it.", "A verifier is told.",
		"It works as ever.", "It is made anew.", "It waits for so long.", "Nothing else is believed.", "It has not heard of it.",
		"That is no reason to stop.", "It is beside the point.",
	} {
		if !finds(text) {
			t.Errorf("no rule finds: %s", text)
		}
	}
	for _, text := range []string{
		"Cleanup removes it, and cleans up.", "Someone has it.", "A handler hands it on.", "The session continues.", "What should you do?",
		"It shows what is counted.", "It is no longer used.", "It is so long that it is split.", "Believe it or not.",
	} {
		if finds(text) {
			t.Errorf("a rule finds: %s", text)
		}
	}
}
