package storage

import (
	"context"
	"database/sql/driver"
	"errors"
)

// maxPrepared bounds the statements kept on one connection. Filters of lists
// make new texts, so there is no end to them.
const maxPrepared = 256

// preparing is a connector whose connections keep every statement with
// arguments prepared, so that a query costs one round trip. database/sql's own
// Stmt cannot do this inside a transaction without taking a second connection
// from a pool that may have none left.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparedConn{Conn: c, stmts: map[string]driver.Stmt{}}, nil
}

// preparedConn passes everything on to the driver's connection. Like that, it
// is used by one goroutine at a time.
type preparedConn struct {
	driver.Conn
	stmts map[string]driver.Stmt
}

var (
	_ driver.ConnBeginTx        = (*preparedConn)(nil)
	_ driver.ConnPrepareContext = (*preparedConn)(nil)
	_ driver.ExecerContext      = (*preparedConn)(nil)
	_ driver.QueryerContext     = (*preparedConn)(nil)
	_ driver.NamedValueChecker  = (*preparedConn)(nil)
	_ driver.Pinger             = (*preparedConn)(nil)
	_ driver.SessionResetter    = (*preparedConn)(nil)
	_ driver.Validator          = (*preparedConn)(nil)
)

func (c *preparedConn) stmt(ctx context.Context, text string) (driver.Stmt, error) {
	if st, ok := c.stmts[text]; ok {
		return st, nil
	}
	if len(c.stmts) >= maxPrepared {
		for t, st := range c.stmts { // whichever comes first: the hot ones soon return
			delete(c.stmts, t)
			if err := st.Close(); err != nil {
				return nil, err
			}
			break
		}
	}
	st, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = st
	return st, nil
}

// Close closes the kept statements first: to SQLite a connection with open
// statements stays one, and only the last to go brings the journal into the
// file.
func (c *preparedConn) Close() error {
	var errs []error
	for _, st := range c.stmts {
		errs = append(errs, st.Close())
	}
	clear(c.stmts)
	return errors.Join(append(errs, c.Conn.Close())...)
}

func (c *preparedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		if q, ok := c.Conn.(driver.QueryerContext); ok {
			return q.QueryContext(ctx, text, args)
		}
		return nil, driver.ErrSkip
	}
	st, err := c.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	q, ok := st.(driver.StmtQueryContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return q.QueryContext(ctx, args)
}

func (c *preparedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	// Without arguments it may be several statements (a migration), which
	// cannot be prepared as one.
	if len(args) == 0 {
		if e, ok := c.Conn.(driver.ExecerContext); ok {
			return e.ExecContext(ctx, text, args)
		}
		return nil, driver.ErrSkip
	}
	st, err := c.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	e, ok := st.(driver.StmtExecContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return e.ExecContext(ctx, args)
}

func (c *preparedConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, text)
	}
	return c.Prepare(text)
}

func (c *preparedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.Conn.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, o)
	}
	return c.Begin() //nolint:staticcheck // what is left where the driver has no BeginTx
}

func (c *preparedConn) CheckNamedValue(v *driver.NamedValue) error {
	if ch, ok := c.Conn.(driver.NamedValueChecker); ok {
		return ch.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *preparedConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *preparedConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *preparedConn) IsValid() bool {
	if v, ok := c.Conn.(driver.Validator); ok {
		return v.IsValid()
	}
	return true
}
