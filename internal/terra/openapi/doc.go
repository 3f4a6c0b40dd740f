// Package openapi judges HTTP exchanges by an OpenAPI 3.1 description: the path,
// the parameters, both bodies and the content types. It reads the part of OpenAPI
// that the contract of package terra uses, and refuses a description that names
// an operation without an answer.
//
// What it says is wrong names a place and a rule, never a value: a body may hold a
// secret. It is for tests and for the command terra-emulator; the program that
// people run in production does not link it.
package openapi
