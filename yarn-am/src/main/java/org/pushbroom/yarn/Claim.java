package org.pushbroom.yarn;

import java.io.IOException;
import java.util.function.BooleanSupplier;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.exceptions.YarnException;

/** A way to become the master of an application. */
interface Claim {
  /**
   * Waits until it may register.
   *
   * @param isUnwanted whether nobody wants the application any more: it is killed then
   */
  Mastership take(BooleanSupplier isUnwanted) throws Over, YarnException, IOException, InterruptedException;

  /** The right to be an application's master. */
  final class Mastership {
    final ApplicationId application;
    /** Holds the application's token. */
    final UserGroupInformation user;

    final Ledger ledger;

    Mastership(ApplicationId application, UserGroupInformation user, Ledger ledger) {
      this.application = application;
      this.user = user;
      this.ledger = ledger;
    }
  }
}
