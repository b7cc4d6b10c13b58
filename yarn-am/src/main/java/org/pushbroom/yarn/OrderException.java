package org.pushbroom.yarn;

/** An order that can't be carried out as it is written; the message names the place and what belongs there. */
final class OrderException extends Exception {
  private static final long serialVersionUID = 1L;

  OrderException(String message) {
    super(message);
  }
}
