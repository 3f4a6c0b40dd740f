// Package terra speaks Terra's Admin API (version 2026.10.09.2): one typed call
// per operation, each declared a read or a write.
//
// A client made read-only refuses every write before it reaches the network. A
// client follows no redirect, gives every call a deadline, retries only what is
// safe to retry, and reads an incomplete answer as an error, never as an empty
// one. It prints and logs nothing, and no error it returns holds a secret.
//
// Callers: reconcile, internal/cli and internal/doctor. The emulator for tests is in terratest.
package terra
