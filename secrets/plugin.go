package secrets

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

const (
	pluginWait    = 30 * time.Second
	maxPluginText = 300 // runes of a plugin's own error that are passed on
)

// PluginError says that an age plugin was needed and did not help.
type PluginError struct {
	// Name is the plugin's name, without age-plugin-.
	Name string
	// Cause is what went wrong; text of the plugin's own is cut and cleaned.
	Cause error
}

// Error names the plugin and the cause.
func (e *PluginError) Error() string { return fmt.Sprintf("age plugin %q: %v", e.Name, e.Cause) }

// Unwrap returns the cause.
func (e *PluginError) Unwrap() error { return e.Cause }

// pluginKey is an identity or a recipient that only a plugin can use.
type pluginKey struct {
	name, encoding string
	wait           time.Duration
	// stuck is set once the plugin did not answer in time. It is then never
	// started again, so that at most one process of it hangs about.
	stuck atomic.Bool
}

func newPluginKey(name, encoding string) *pluginKey {
	return &pluginKey{name: name, encoding: encoding, wait: pluginWait}
}

// pluginAnswer is what a plugin made of a file key: the key, or stanzas.
type pluginAnswer struct {
	fileKey []byte
	stanzas []*age.Stanza
	labels  []string
	err     error
}

// unwrap asks the plugin for the file key of stanzas. The error is
// age.ErrIncorrectIdentity or a *PluginError.
func (p *pluginKey) unwrap(stanzas []*age.Stanza) ([]byte, error) {
	answer := p.ask(func(ui *plugin.ClientUI) pluginAnswer {
		id, err := plugin.NewIdentity(p.encoding, ui)
		if err != nil {
			return pluginAnswer{err: err}
		}
		key, err := id.Unwrap(stanzas)
		return pluginAnswer{fileKey: key, err: err}
	})
	return answer.fileKey, answer.err
}

// wrap asks the plugin to wrap a file key for its recipient.
func (p *pluginKey) wrap(fileKey []byte) ([]*age.Stanza, []string, error) {
	answer := p.ask(func(ui *plugin.ClientUI) pluginAnswer {
		r, err := plugin.NewRecipient(p.encoding, ui)
		if err != nil {
			return pluginAnswer{err: err}
		}
		stanzas, labels, err := r.WrapWithLabels(fileKey)
		return pluginAnswer{stanzas: stanzas, labels: labels, err: err}
	})
	return answer.stanzas, answer.labels, answer.err
}

// ask runs work, which talks to the plugin, until it answers or the time is
// over. The age library cannot stop a plugin: one that hangs is left behind.
func (p *pluginKey) ask(work func(*plugin.ClientUI) pluginAnswer) pluginAnswer {
	if p.stuck.Load() {
		return p.failed(errors.New("it did not answer before and is not asked again in this run"))
	}
	if os.Getenv("AGEDEBUG") == "plugin" {
		return p.failed(errors.New("AGEDEBUG=plugin would print keys to standard error; unset it"))
	}
	var asked atomic.Bool
	ui := refusingUI(&asked)
	done := make(chan pluginAnswer, 1)
	go func() { done <- work(ui) }()
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case answer := <-done:
		return p.judge(answer, asked.Load())
	case <-timer.C:
		p.stuck.Store(true)
		return p.failed(fmt.Errorf("no answer within %s", p.wait))
	}
}

func (p *pluginKey) judge(answer pluginAnswer, asked bool) pluginAnswer {
	missing := (*plugin.NotFoundError)(nil)
	switch {
	case answer.err == nil:
		return answer
	case asked:
		return p.failed(errors.New("it asks for a PIN or a confirmation, and a daemon cannot type"))
	case errors.Is(answer.err, age.ErrIncorrectIdentity):
		return pluginAnswer{err: age.ErrIncorrectIdentity}
	case errors.As(answer.err, &missing):
		return p.failed(fmt.Errorf("age-plugin-%s is not in PATH; install it there", p.name))
	}
	return p.failed(errors.New(p.clean(answer.err.Error())))
}

func (p *pluginKey) failed(cause error) pluginAnswer {
	return pluginAnswer{err: &PluginError{Name: p.name, Cause: cause}}
}

// clean makes foreign text fit for an error: no identity, no control
// characters, not long.
func (p *pluginKey) clean(text string) string {
	text = strings.TrimPrefix(text, p.name+" plugin: ")
	text = strings.ReplaceAll(text, p.encoding, "[key]")
	text = strings.Map(func(r rune) rune {
		if visible.Hides(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxPluginText {
		return string(runes[:maxPluginText]) + "…"
	}
	return text
}

// refusingUI lets a plugin say something, unheard, and answers no question.
func refusingUI(asked *atomic.Bool) *plugin.ClientUI {
	return &plugin.ClientUI{
		DisplayMessage: func(string, string) error { return nil },
		RequestValue: func(string, string, bool) (string, error) {
			asked.Store(true)
			return "", errors.New("no one is there to answer")
		},
		Confirm: func(string, string, string, string) (bool, error) {
			asked.Store(true)
			return false, errors.New("no one is there to answer")
		},
	}
}

// pluginAttempt is one try to open one file with a plugin. A failure is noted
// and reported as "does not match", so that the other identities get a try.
type pluginAttempt struct {
	key *pluginKey
	err error
}

// Unwrap asks the plugin.
func (a *pluginAttempt) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	fileKey, err := a.key.unwrap(stanzas)
	if err != nil {
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			a.err = err
		}
		return nil, age.ErrIncorrectIdentity
	}
	return fileKey, nil
}

// pluginRecipient is a recipient whose file key a plugin wraps.
type pluginRecipient struct {
	key *pluginKey
}

// Wrap wraps fileKey.
func (r pluginRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := r.key.wrap(fileKey)
	return stanzas, err
}

// WrapWithLabels wraps fileKey and says with which recipients it may be mixed.
func (r pluginRecipient) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	return r.key.wrap(fileKey)
}
