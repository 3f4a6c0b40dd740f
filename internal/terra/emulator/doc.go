// Package emulator is Terra's Admin API (version 2026.10.09.2) for one account
// in memory: every operation of the contract in package terra, with tokens,
// idempotency, dry runs, rate limits and faults. It serves `reconcile demo`,
// the command terra-emulator and, through package terratest, all tests.
//
// It refuses to be kinder than the contract. It never opens a socket itself, it
// logs nothing, and it holds secrets in plain text: do not give it real keys.
//
// Its callers are terratest and the commands. It does not judge itself by the
// contract, so that programs that carry it stay small; terratest does.
//
// # What the contract does not say, and what we chose
//
// What matters to a client is a switch of [Reading]; the rest is the stricter choice.
//
// Requests. A query that cannot be read, a parameter that the operation does not
// know, one given twice,
// a dry_run that is not "true" or "false", a body where none is described, a
// field that is there twice and a Content-Type other than application/json are
// 400 validation_failed. What is outside the API is a plain 404 or 405.
//
// Order of checks. Token, rate, scope, audience, existence of the environment,
// disabled environment, query, Idempotency-Key, provider, whether it is enabled,
// body. A token learns nothing about an environment outside its audience.
//
// Tokens. A data token is 401. A token limited to environments holds no account
// scope, so it can neither list nor read environments.
//
// Idempotency. A key belongs to a token and is good for one method, target and
// body, byte for byte; anything else is 409. Refusals are kept and replayed like
// successes; 401, 403 for a missing right, 429 and 5xx are not kept. A dry run
// neither looks at nor stores a key. Keys are kept for ever.
//
// Dry runs. All checks are those of the real call, the provider's answer to a
// pair included. `would` is noop, enable, resume, pause, update, disable, set,
// replace, reset, claim, release or apply.
//
// Names. Answers name providers in lower case (Capitals).
//
// Sources. Scopes, credentials and webhook endpoints of a source that is not enabled are
// 404 (ShowsDisabled). Disabling keeps credentials, auth_variant and domain and forgets the
// choice of scopes (KeepsScopes). For a provider without byo_supported auth_variant is
// always standard, also with own credentials. Which types have byo_supported is as the
// catalogue here has it (ByoNowhere, ByoEverywhere, SetSourceType); byo needs no own
// credentials (ByoNeedsKeys).
//
// Credentials. Own credentials alone make users meet the own app. auth_variant
// standard in words goes back to Terra's: `credential` is then null and terra_owned
// true although a pair is stored, PATCH changes that pair, and setting credentials
// takes the word back (StandardStays). With VariantDecides the own app is met only with
// auth_variant byo, where byo_supported. A PUT or PATCH that changes nothing is a
// noop; with SilentPreviews previews do not say so. A redirect is https, without port,
// user and fragment; a custom domain must be ACTIVE and serving (RedirectsAhead), and
// the default is an address of Terra (DefaultHost). A pair is checked with Garmin alone
// (ChecksPairs), whatever is sent and in a preview too; any other provider's is taken as
// it comes, a wrong one too, which the end users show later. verification_secret or
// sandbox in any form is 400 for an OAuth 1.0 app. The config of a secret_ref is a map of
// strings; only OAuth 2.0 apps may have one. client_secret takes the place of a
// secret_ref; `secret_ref: null` alone does not remove one (400).
//
// Scopes. A scope named twice is 400. A choice equal to the default is still a
// choice, and so is an empty one at a provider that has no scopes.
//
// Domains. A hostname is a full one in lower case, not Terra's own. One that an
// environment outside the token's audience set up is 409, as another account's. One that
// an environment within it set up is from its claim on shown as this one's, too
// (SharedUnseen).
//
// Webhook endpoints. While locked, an apply is 409 even when nothing would
// change. Fingerprint and If-Match, when both are there, must agree. An accepted
// apply is visible at once, and the rows stay locked for three minutes. The fingerprint
// is one of all saved apps.
//
// Providers. One that a test declared pairs for answers the questions of the
// catalogue's probes in the shapes recorded for it, with 503 while it is not
// reachable and 429 while its quota is used up; any other is 404, which proves
// nothing. A reset of a secret kills the old one unless an overlap is given.
//
// End users. While the live pair of an own app is wrong at its provider, access
// tokens run out and none can be fetched: users become inactive evenly over one
// token lifetime, the last one first, whether the source is active, paused or
// disabled. The lifetime is 6 hours at Strava, one hour at Huawei and WHOOP and,
// where none is published, a day, so that harm stays unseen the longer. Users
// that fell stay inactive once the pair is right again: they would have to
// connect again. SetUsersReturn lets them come back instead. Users belong to the
// app they met: under another client id they fall away too, however good its pair.
//
// Lists. Sources, source types, scopes and webhook entries come in another order
// each time. Pages of users hold 50 entries, at most 200; a larger limit is cut down. A
// cursor is good for the list and filter it was made for.
//
// Rate limits. A fixed window for each token, counting all calls but those that
// were refused with 429. Without a limit there are no X-RateLimit headers.
package emulator
