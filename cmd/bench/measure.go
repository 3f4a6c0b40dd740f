package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// measure makes every measurement and prints the table.
func measure(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "reconcile-bench-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var figures []figure
	for _, m := range []struct {
		title string
		does  func(context.Context, string) ([]figure, error)
	}{
		{"dry run of 100 connections, cold process, Terra answers after 20 ms", coldDryRun},
		{"10,000 connections in 100 environments, one process, no latency", manyConnections},
	} {
		if _, err := fmt.Fprintf(stderr, "measuring: %s\n", m.title); err != nil {
			return fmt.Errorf("print progress: %w", err)
		}
		folder, err := os.MkdirTemp(dir, "scene-")
		if err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		found, err := m.does(ctx, folder)
		if err != nil {
			return err
		}
		figures = append(figures, found...)
	}
	return printTable(stdout, figures)
}

func stateFolder(dir string) string { return filepath.Join(dir, "state") }
