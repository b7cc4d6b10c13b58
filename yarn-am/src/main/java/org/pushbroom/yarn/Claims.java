package org.pushbroom.yarn;

import java.io.IOException;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.yarn.api.ApplicationConstants;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.ApplicationReport;
import org.apache.hadoop.yarn.api.records.ApplicationSubmissionContext;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.api.records.Priority;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.api.records.YarnApplicationState;
import org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.hadoop.yarn.security.AMRMTokenIdentifier;
import org.apache.hadoop.yarn.util.ConverterUtils;

/** The three ways to become the master of an application: to submit it, to take it over, and to be started as it. */
final class Claims {
  private static final String TYPE = "PUSHBROOM";
  /** Under it a user holds the token: a newer one takes its place. */
  private static final Text ALIAS = new Text("pushbroom");
  private static final Set<YarnApplicationState> FINAL =
      EnumSet.of(YarnApplicationState.FINISHED, YarnApplicationState.FAILED, YarnApplicationState.KILLED);
  private static final long POLL_MS = 100;

  private Claims() {}

  /** Of an {@code open} order: a new application, unmanaged, whose containers outlive this program. */
  static Claim submit(Cluster cluster, Fields order) throws OrderException {
    String name = order.text("app");
    String queue = order.text("queue");
    Priority priority = Priority.newInstance((int) order.number("priority", 0, Integer.MAX_VALUE));
    Set<String> tags = new HashSet<>(order.texts("tags"));
    String nodeLabel = order.text("nodeLabel", null);
    return isUnwanted -> {
      ApplicationSubmissionContext context =
          cluster.asOurselves(yarn -> yarn.createApplication().getApplicationSubmissionContext());
      context.setApplicationName(name);
      context.setApplicationType(TYPE);
      context.setApplicationTags(tags);
      context.setQueue(queue);
      context.setPriority(priority);
      context.setUnmanagedAM(true);
      context.setKeepContainersAcrossApplicationAttempts(true);
      context.setNodeLabelExpression(nodeLabel);
      // Nothing is started with these two, but an application has to have them.
      context.setAMContainerSpec(ContainerLaunchContext.newInstance(null, null, null, null, null, null));
      context.setResource(Resource.newInstance(1, 1));
      try {
        cluster.asOurselves(yarn -> yarn.submitApplication(context));
      } catch (YarnException refused) {
        throw new Over("REFUSED", refused.getMessage());
      }
      return takeToken(cluster, context.getApplicationId(), isUnwanted);
    };
  }

  /** Of an {@code adopt} order: an application that an earlier program has submitted. */
  static Claim adopt(Cluster cluster, ApplicationId id) {
    return isUnwanted -> {
      ApplicationReport report = report(cluster, id);
      failIfOver(report);
      Ledger ledger = new Ledger(cluster.state, id);
      Token<AMRMTokenIdentifier> token = ledger.readToken();
      if (token == null) return takeToken(cluster, id, isUnwanted);
      return new Claim.Mastership(id, userWith(token), ledger);
    };
  }

  /** Of a program that YARN has started in a container as the application's master, with its token. */
  static Claim own(Cluster cluster) {
    return isUnwanted -> {
      ContainerId container =
          ContainerId.fromString(System.getenv(ApplicationConstants.Environment.CONTAINER_ID.name()));
      ApplicationId id = container.getApplicationAttemptId().getApplicationId();
      for (Token<?> token : UserGroupInformation.getLoginUser().getTokens()) {
        if (!token.getKind().equals(AMRMTokenIdentifier.KIND_NAME)) continue;
        return new Claim.Mastership(id, userWith(token), new Ledger(cluster.state, id));
      }
      throw new Over("FAILED", "YARN has given this container no token of an application's master.");
    };
  }

  /** @throws Over if it is, or if the ResourceManager does not know it */
  static ApplicationReport report(Cluster cluster, ApplicationId id)
      throws Over, YarnException, IOException, InterruptedException {
    try {
      return cluster.asOurselves(yarn -> yarn.getApplicationReport(id));
    } catch (ApplicationNotFoundException unknown) {
      throw new Over("UNKNOWN", unknown.getMessage());
    }
  }

  static void failIfOver(ApplicationReport report) throws Over {
    YarnApplicationState state = report.getYarnApplicationState();
    if (FINAL.contains(state)) throw new Over(state.name(), report.getDiagnostics());
  }

  /** Gives the user a token that takes the place of the one before. */
  static void renew(Claim.Mastership master, org.apache.hadoop.yarn.api.records.Token rolled, Text service)
      throws IOException {
    Token<AMRMTokenIdentifier> token = ConverterUtils.convertFromYarn(rolled, service);
    master.user.addToken(ALIAS, token);
    master.ledger.saveToken(token);
  }

  /** Waits in the queue for the token, which is handed out until the application is first registered. */
  private static Claim.Mastership takeToken(Cluster cluster, ApplicationId id, BooleanSupplier isUnwanted)
      throws Over, YarnException, IOException, InterruptedException {
    while (true) {
      ApplicationReport report = report(cluster, id);
      failIfOver(report);
      if (report.getAMRMToken() != null) {
        Token<AMRMTokenIdentifier> token = ConverterUtils.convertFromYarn(report.getAMRMToken(), (Text) null);
        Ledger ledger = new Ledger(cluster.state, id);
        ledger.saveToken(token);
        return new Claim.Mastership(id, userWith(token), ledger);
      }
      boolean isLost = report.getYarnApplicationState() == YarnApplicationState.RUNNING;
      if (isLost || isUnwanted.getAsBoolean()) {
        cluster.asOurselves(
            yarn -> {
              yarn.killApplication(id);
              return null;
            });
        String lost = "The token that gives the right to take over " + id + " is not in the state directory.";
        throw new Over("KILLED", isLost ? lost : "Closed by order before it was registered.");
      }
      Thread.sleep(POLL_MS);
    }
  }

  private static UserGroupInformation userWith(Token<?> token) throws IOException {
    UserGroupInformation user =
        UserGroupInformation.createRemoteUser(UserGroupInformation.getLoginUser().getShortUserName());
    user.addToken(ALIAS, token);
    return user;
  }
}
