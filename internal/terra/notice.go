package terra

import (
	"net/http"
	"sync"
)

// maxNotices bounds how many different notices one client remembers and tells.
const maxNotices = 200

// notices tells each different Terra-Notice once.
type notices struct {
	mu   sync.Mutex
	tell func(operation, text string)
	told map[string]struct{}
}

func (n *notices) see(operation string, header http.Header, s scrubber) {
	values := header.Values("Terra-Notice")
	if n.tell == nil || len(values) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		n.told = map[string]struct{}{}
	}
	for _, value := range values {
		text := s.clean(value)
		key := operation + "\n" + text
		if _, old := n.told[key]; old || text == "" || len(n.told) >= maxNotices {
			continue
		}
		n.told[key] = struct{}{}
		n.tell(operation, text)
	}
}
