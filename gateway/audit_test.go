package gateway

import (
	"os"
	"os/exec"
	"testing"
)

// TestAudit runs the public audit suite of the GraphQL over HTTP
// specification, whose packages are not part of this repository.
func TestAudit(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the audit suite needs node, which is not here")
	}
	if _, err := os.Stat("testdata/audit/node_modules"); err != nil {
		t.Skip("the audit suite is not installed: npm ci --prefix gateway/testdata/audit")
	}
	g := start(t, nil)
	audit := exec.CommandContext(t.Context(), "node", "audit.mjs", g.url+"/graphql", g.secret)
	audit.Dir = "testdata/audit"
	told, err := audit.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, told)
	}
	t.Logf("%s", told)
}
