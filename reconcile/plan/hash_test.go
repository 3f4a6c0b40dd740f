package plan

import "testing"

// TestHashIsPinned keeps approvals and saved plans valid over releases. A change
// here needs a new format number, and makes every approval in flight worthless.
func TestHashIsPinned(t *testing.T) {
	p := Plan{Environment: "production", DevID: "prod-app-x81LmQ", Changes: []Change{
		{Connection: "production/whoop", Action: SetScopes, Fields: []FieldChange{{Field: FieldScopes, From: FieldValue{List: []string{}}, To: list([]string{"b", "a"})}}},
		{Connection: "production/strava", Action: UpdateCredentials, Gate: Blocked, Class: Safe, Fields: []FieldChange{
			{Field: FieldRedirectURL, From: text("https://old.example"), To: FieldValue{Default: true}},
			{Field: FieldClientSecret, From: FieldValue{Mask: "****1111", Key: 1, Compared: Differs}, To: FieldValue{Key: 2, Sealed: "sealed"}},
		}},
	}}
	const want = "sha256:8c20511749a4c64e694067440fa07108a7fc312ed764d02088ec6f35f4a7a3e1"
	if got := Hash(p); got != want {
		t.Errorf("hash: got %s, want %s", got, want)
	}
	const empty = "sha256:fb38032fd7e95383b726e04850a85e9e44a87bdc473904ce132babe751c0911f"
	if got := Hash(Plan{DevID: "prod-app-x81LmQ"}); got != empty {
		t.Errorf("hash of no change: got %s, want %s", got, empty)
	}
}
