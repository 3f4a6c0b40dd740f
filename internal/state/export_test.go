package state

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"time"
)

// OpenBoltForTest opens the backend of a folder.
func OpenBoltForTest(dir string) (Backend, error) {
	b, _, err := openBolt(dir, time.Second)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// LinesForTest reads the lines in a folder, whatever they are.
func LinesForTest(dir string) (lines []string, err error) {
	for _, part := range bothSeries() {
		var of []string
		err = errors.Join(err, eachFile(dir, part, func(f *os.File) (bool, error) {
			var found []string
			damaged, err := eachLine(f, func(line []byte) error {
				found = append(found, string(line))
				return nil
			})
			if len(damaged) > 0 {
				err = errors.Join(err, errors.New(damaged[0]))
			}
			of = append(found, of...)
			return false, err
		}))
		lines = append(lines, of...)
	}
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(sequenceOf([]byte(a)), sequenceOf([]byte(b))) })
	return lines, err
}

// historyName is the first file of a history.
const historyName = "history.jsonl"
