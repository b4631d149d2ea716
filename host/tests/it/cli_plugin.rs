//! `atlashub plugin`: keys and signatures as minisign makes them, and the owner's decisions.
