package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// remoteCommand serves the folder of a repository as a git server does, to whoever has the
// token in GIT_TOKEN; sets REMOTE:
//
//	remote DIR
//	remote hangs     it takes what it is asked and answers nothing from now on
//	remote waits     until it is asked then
//	remote answers   again
func remoteCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 1, "remote DIR|hangs|waits|answers")
	switch s := sceneOf(ts); args[0] {
	case "hangs":
		hangs := make(chan struct{})
		s.remoteHangs.Store(&hangs)
		ts.Defer(s.remoteAnswers)
		return
	case "answers":
		s.remoteAnswers()
		return
	case "waits":
		select {
		case <-s.remoteAsked:
		case <-time.After(patience):
			ts.Fatalf("nobody asked within %s", patience)
		}
		return
	}
	const token = "gitTk7Wd0yQm3Rb9Xn5Lp2Vs"
	sceneOf(ts).planted = append(sceneOf(ts).planted, token)
	out, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + ts.MkAbs("."), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
	asked := sceneOf(ts)
	asked.remoteAsked = make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs := asked.remoteHangs.Load(); hangs != nil {
			select {
			case asked.remoteAsked <- struct{}{}:
			default:
			}
			select {
			case <-*hangs:
			case <-r.Context().Done():
			}
			return
		}
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no: "+password, http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("GIT_TOKEN", token)
	ts.Setenv("REMOTE", server.URL+"/"+args[0]+"/.git")
}

// remoteAnswers ends that the git server hangs.
func (s *scene) remoteAnswers() {
	if hangs := s.remoteHangs.Swap(nil); hangs != nil {
		close(*hangs)
	}
}

// certificateCommand makes a certificate of this machine, which is its own issuer:
//
//	certificate CERT KEY
func certificateCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 2, "certificate CERT KEY")
	ts.Check(writeCertificate(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// writeCertificate writes a certificate of this machine, and its key, for the owner alone.
func writeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// addressCommand sets DAEMON to where the daemon says that it serves.
func addressCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 0, 0, "address")
	serving := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)
	for _, line := range sceneOf(ts).daemon.all() {
		if m := serving.FindStringSubmatch(line); m != nil {
			ts.Setenv("DAEMON", m[1])
		}
	}
}

// samePlanCommand compares two JSON reports in all that is not about how and when they were
// made, or how something is approved:
//
//	sameplan FILE FILE
func samePlanCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 2, "sameplan FILE FILE")
	var both [2]report.Report
	for i, name := range args {
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &both[i]))
		if len(both[i].Environments) == 0 {
			ts.Fatalf("%s has no environment", name)
		}
	}
	how := cmp.Options{
		cmpopts.IgnoreFields(report.Report{}, "RunID", "StartedAt", "DurationMS", "Digest", "PreviewOf", "NotUsed"),
		cmpopts.IgnoreFields(report.Environment{}, "Approval"), cmpopts.IgnoreFields(report.Connection{}, "Approval"),
		cmpopts.IgnoreTypes([]plan.Remediation{}), cmpopts.EquateEmpty(),
	}
	if diff := cmp.Diff(both[0], both[1], how); diff != "" {
		ts.Fatalf("the plans differ (-%s +%s):\n%s", args[0], args[1], diff)
	}
}

// digestCommand notes what a folder or file holds, or wants it to hold the same as then:
//
//	digest note|same PATH
func digestCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 2, "digest note|same PATH")
	var all bytes.Buffer
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		sum := sha256.Sum256(text)
		all.WriteString(path)
		all.Write(sum[:])
		return err
	}))
	now, note := sha256.Sum256(all.Bytes()), ts.MkAbs("digest-of-"+filepath.Base(args[1]))
	if args[0] == "note" {
		ts.Check(os.WriteFile(note, now[:], 0o600))
		return
	}
	then, err := os.ReadFile(note)
	ts.Check(err)
	if !bytes.Equal(then, now[:]) {
		ts.Fatalf("%s is not what it was", args[1])
	}
}
