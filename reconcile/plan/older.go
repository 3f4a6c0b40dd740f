package plan

const guardOlderCommit = "older-commit"

// checkOlderCommit holds what could hurt, and every write of keys, while the branch
// stands on a commit from before: an old key would go live again. No allow lifts it,
// because an old commit may hold one.
func checkOlderCommit(in Input, c *Change, _ bool) (Gate, string) {
	writesKeys := c.Action == SetCredentials || c.Action == UpdateCredentials || c.Action == RotateSecret
	if in.OlderCommit == "" || in.ApprovedAll || c.Class == Safe && !writesKeys {
		return Ready, ""
	}
	return Approval, "the repository went back: " + in.OlderCommit
}
