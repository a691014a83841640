package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
)

// net/http does not watch a connection after an upgrade: the context of its request does not end
// when the client disconnects. With a watched connection, it does.
type watchedConn struct {
	net.Conn
	gone context.CancelFunc
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	// net/http sets a deadline in the past to take over the connection.
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.gone()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

type watchedListener struct{ net.Listener }

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: c, gone: func() {}}, nil
}

// untilClosed returns the context for the requests of a connection. It is called before anything is
// read.
func untilClosed(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		if w, ok := t.NetConn().(*watchedConn); ok {
			ctx, w.gone = context.WithCancel(ctx)
		}
	}
	return ctx
}
