package envoytest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"waymark.dev/waymark/envoy/process"
)

// RSS is the memory that an Envoy holds now, in bytes.
func RSS(p *process.Process) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory: it has ended", p.PID())
}
