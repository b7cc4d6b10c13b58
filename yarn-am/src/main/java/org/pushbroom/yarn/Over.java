package org.pushbroom.yarn;

/** An application is over, and its containers with it. */
final class Over extends Exception {
  private static final long serialVersionUID = 1L;

  /** {@code YarnApplicationState}, or a word of ours as told in the protocol. */
  final String state;

  Over(String state, String diagnostics) {
    super(diagnostics);
    this.state = state;
  }
}
