package cli

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// BenchmarkBesideTerraform times `reconcile --dry-run` and `terraform plan` in turns, both
// as new processes with the memory of a former apply, on the same 100 own-app connections
// of the same emulated Terra, where nothing is to change. Terraform speaks to it through
// the provider Mastercard/restapi, with one resource for the credentials of a connection,
// and asks as many at a time as the engine does. It is skipped without the program
// terraform and the folder of a built terraform-provider-restapi in TERRAFORM_RESTAPI.
func BenchmarkBesideTerraform(b *testing.B) {
	const latency = 20 * time.Millisecond
	plugin := os.Getenv("TERRAFORM_RESTAPI")
	terraform, err := exec.LookPath("terraform")
	if err != nil || plugin == "" {
		if os.Getenv("REQUIRE_ALL") != "" {
			b.Fatal("terraform or TERRAFORM_RESTAPI is missing")
		}
		b.Skip("needs the program terraform, and TERRAFORM_RESTAPI: the folder with terraform-provider-restapi")
	}
	dir := b.TempDir()
	program := benchProgram(b, dir)
	identity, _ := benchRepository(b, dir, 1)
	server := httptest.NewServer(benchAccount(latency, 1))
	b.Cleanup(server.Close)
	benchWrite(b, filepath.Join(dir, "terraform", "main.tf"), benchTerraform(server.URL+emulator.BasePath))
	benchWrite(b, filepath.Join(dir, "terraform.rc"),
		fmt.Sprintf("provider_installation {\n  dev_overrides { \"Mastercard/restapi\" = %q }\n  direct {}\n}\n", plugin))
	theirs := func(words ...string) benchUsage {
		c := exec.Command(terraform, append([]string{"-chdir=" + filepath.Join(dir, "terraform")}, words...)...)
		c.Env = []string{"TF_CLI_CONFIG_FILE=" + filepath.Join(dir, "terraform.rc"), "CHECKPOINT_DISABLE=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		return benchRun(b, c)
	}
	ours := func(flag string) benchUsage {
		return benchRun(b, benchReconcile(dir, program, identity, server.URL, flag))
	}
	at := fmt.Sprintf("-parallelism=%d", benchAtOnce)
	theirs("apply", "-auto-approve", at)
	ours("--yes")
	best, peer := ours("--dry-run"), theirs("plan", "-detailed-exitcode", at)
	for b.Loop() {
		best = best.best(ours("--dry-run"))
		peer = peer.best(theirs("plan", "-detailed-exitcode", at))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(benchMilliseconds(best.wall), "ms")
	b.ReportMetric(benchMilliseconds(peer.wall), "terraform-ms")
	b.ReportMetric(float64(peer.wall)/float64(best.wall), "x-faster")
	b.ReportMetric(float64(peer.cpu)/float64(best.cpu), "x-less-cpu")
	b.ReportMetric(float64(peer.rss)/float64(best.rss), "x-less-memory")
}

// benchTerraform is what the repository of benchRepository says, for Terraform.
func benchTerraform(base string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "terraform {\n  required_providers {\n    restapi = { source = \"Mastercard/restapi\" }\n  }\n}\n"+
		"provider \"restapi\" {\n  uri           = %q\n  bearer_token  = %q\n  create_method = \"PUT\"\n  update_method = \"PUT\"\n}\n", base, benchToken)
	for c := range benchPerEnv {
		path := "/environments/" + benchDevID(0) + "/unified-api/sources/" + benchProvider(c) + "/credentials"
		fmt.Fprintf(&out, "resource \"restapi_object\" %q {\n  path        = %q\n  create_path = %q\n  read_path   = %q\n  update_path = %q\n"+
			"  object_id   = %q\n  data        = jsonencode({ client_id = %q, client_secret = %q })\n  ignore_all_server_changes = true\n}\n",
			benchProvider(c), path, path, path, path, benchProvider(c), benchClientID(0, c), benchSecret(0, c))
	}
	return out.String()
}
