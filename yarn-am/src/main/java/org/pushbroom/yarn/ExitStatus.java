package org.pushbroom.yarn;

/** Ways for a request to end that YARN's own {@code ContainerExitStatus} has no number for; its lowest is -1000. */
final class ExitStatus {
  /** The ResourceManager refuses the request: larger than its maximum, or of a resource that it does not know. */
  static final int REFUSED = -2000;

  /** Stopped by order before it had a container. */
  static final int WITHDRAWN = -2001;

  /** Its NodeManager has not taken the start, or was never asked to. */
  static final int NOT_STARTED = -2002;

  /** It ended while nobody listened, and nobody knows how any more. */
  static final int UNKNOWN = -2003;

  private ExitStatus() {}
}
