package cli

import (
	"os/exec"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// typesCommand has a shell run a command that the last output tells a person to
// type, with $HASH for the word HASH.
func typesCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 2, "types CODE PATTERN")
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	told := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	commands := regexp.MustCompile("`(reconcile [^`]+)`").FindAllStringSubmatch(told, -1)
	commands = append(commands, regexp.MustCompile("(?m)(?:^ *(?:Next +)?(?:[0-9]+\\. )?|: )(reconcile [^\n#`]+?)(?:  # [^\n]*)?$").FindAllStringSubmatch(told, -1)...)
	commands = append(commands, regexp.MustCompile(`"command": "(reconcile [^"]+)"`).FindAllStringSubmatch(told, -1)...)
	for _, command := range commands {
		if pattern.MatchString(command[1]) {
			shell, err := exec.LookPath("sh")
			ts.Check(err)
			exitsCommand(ts, false, []string{args[0], shell, "-c", strings.ReplaceAll(command[1], "HASH", ts.Getenv("HASH"))})
			return
		}
	}
	ts.Fatalf("no command like %s is told in:\n%s", args[1], told)
}
