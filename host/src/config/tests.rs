//! What each mistake looks like.
