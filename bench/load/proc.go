//go:build linux

package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticksPerSecond is the unit of times in /proc, the same on every Linux that Go runs on.
const ticksPerSecond = 100

// CPU returns what a process has spent so far, user and system, its ended
// threads included, to 10 ms.
func CPU(pid int) (time.Duration, error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("cannot read the CPU of a process: %w", err)
	}
	// The command's name stands in brackets and may hold anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read %s: %d fields", name, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read %s: %w", name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// RSS returns the resident bytes of a process, now and at its most.
func RSS(pid int) (now, most int64, err error) {
	name := fmt.Sprintf("/proc/%d/status", pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the memory of a process: %w", err)
	}
	for line := range bytes.Lines(b) {
		key, rest, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		kib, _ := strconv.ParseInt(string(fields[0]), 10, 64) // other lines hold words
		switch string(key) {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			most = kib << 10
		}
	}
	if now == 0 {
		return 0, 0, fmt.Errorf("%s does not tell VmRSS", name)
	}
	return now, most, nil
}
