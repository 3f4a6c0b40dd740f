package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const whole = "repo: {url: ./specs}\naccounts: {default: {token_env: T, dev_ids: [dev-1]}}\napply: false\n"

func stateDirOf(t *testing.T, text string) (dir string, wrong *InvalidError, err error) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "daemon.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, wrong, err = StateDir(path, env(map[string]string{"RECONCILE_STATE_DIR": "/usual", "TERRA_BASE_URL": "no URL"}))
	if inside, relErr := filepath.Rel(folder, dir); relErr == nil && !strings.HasPrefix(inside, "..") {
		dir = inside
	}
	return dir, wrong, err
}

func TestStateDirPassesOverErrorsElsewhere(t *testing.T) {
	for name, c := range map[string]struct{ text, dir, wrong string }{
		"right":             {whole + "state_dir: ./state\n", "state", ""},
		"right, default":    {whole, "/usual", ""},
		"unknown field":     {whole + "state_dir: ./state\nfoo: bar\n", "state", ":5:1: unknown field `foo`"},
		"unknown, default":  {whole + "aply: true\n", "/usual", ":4:1: unknown field `aply`"},
		"wrong value":       {whole + "listen: nowhere\n", "/usual", ":4:9: listen is not an address"},
		"something missing": {"state_dir: ./state\napply: true\n", "state", "repo is missing"},
		"odd values":        {whole + "state_dir: /there\nlog: {level: loud, format: odd}\n", "/there", "log.level must be `debug`"},
		"wrong switch":      {strings.Replace(whole, "apply: false", "apply: maybe", 1) + "state_dir: ./state\n", "state", ":3:8: apply must be `true` or `false`"},
	} {
		dir, wrong, err := stateDirOf(t, c.text)
		if err != nil || dir != c.dir || (wrong != nil) != (c.wrong != "") || wrong != nil && !strings.Contains(wrong.Error(), c.wrong) {
			t.Errorf("%s: got %q, %v, %v; want %q, %q", name, dir, wrong, err, c.dir, c.wrong)
		}
	}
}

func TestStateDirGuessesNothing(t *testing.T) {
	for name, c := range map[string]struct{ text, why string }{
		"no YAML":           {whole + "state_dir: \"./state\n", "is not valid YAML"},
		"empty":             {"", "is empty"},
		"a list":            {"[state_dir, ./state]\n", "the file is not a mapping"},
		"an alias":          {whole + "foo: &here ./state\nstate_dir: *here\n", "aliases"},
		"an anchor":         {whole + "log: &here {level: info}\n", "anchors"},
		"two documents":     {whole + "---\nstate_dir: ./state\n", "more than one document"},
		"twice":             {whole + "state_dir: ./state\nstate_dir: ./other\n", "state_dir stands there twice"},
		"no value":          {whole + "state_dir:\n", "state_dir itself is wrong"},
		"no text":           {whole + "state_dir: [./state]\n", "state_dir itself is wrong"},
		"white space":       {whole + "state_dir: './state '\n", "state_dir itself is wrong"},
		"misspelt":          {whole + "state-dir: ./state\n", "may be meant to be state_dir"},
		"another word":      {whole + "memory: ./state\n", "may be meant to be state_dir"},
		"a map":             {whole + "state: {dir: ./state}\n", "may be meant to be state_dir"},
		"misspelt, deeper":  {whole + "log:\n  folder: ./state\n", "may be meant to be state_dir"},
		"an unreadable key": {whole + "[state, dir]: ./state\n", "may be meant to be state_dir"},
		"a key with a bell": {whole + "\"stat\\a\": ./state\n", "may be meant to be state_dir"},
		"misplaced":         {whole + "log:\n  state_dir: 7\n", "in another place than at the top"},
		"an account":        {"repo: {url: a}\napply: true\naccounts:\n  state_dir: ./state\n", "in another place than at the top"},
		"swallowed":         {"repo: {url: a}\naccounts: {}\napply: true\n  state_dir ./state\n", "in another place than at the top"},
		"cut short":         {"repo: {url: ./specs}\napply: true\n", "the file is not whole"},
		"cut in the line":   {"repo: {url: ./specs}\napply: true\nstate_dir: ./sta", "cut short in the line of state_dir"},
	} {
		dir, wrong, err := stateDirOf(t, c.text)
		var invalid *InvalidError
		if dir != "" || wrong != nil || !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %q, %v, %v; want %q", name, dir, wrong, err, c.why)
		}
	}
	if _, _, err := StateDir(filepath.Join(t.TempDir(), "daemon.yaml"), env(nil)); err == nil {
		t.Error("a file that is not there: no error")
	}
}

func TestStateDirFromNeedsNoOtherVariable(t *testing.T) {
	if got := StateDirFrom(env(map[string]string{"RECONCILE_STATE_DIR": "/usual", "TERRA_BASE_URL": "no URL"})); got != "/usual" {
		t.Errorf("got %q", got)
	}
}
