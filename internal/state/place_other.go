//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package state

import "os"

const noFollow = 0

// CheckFolder knows of no owners and rights here.
func CheckFolder(string) error { return nil }

func checkFile(*os.File) error { return nil }

func linked(err error) error { return err }
