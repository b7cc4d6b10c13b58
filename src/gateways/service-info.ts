/** How the service presents itself in GetCapabilities, on the landing page and in the OpenAPI document. */
export interface ServiceInfo {
  readonly title: string;
  readonly abstract: string;
  readonly provider: {
    readonly name: string;
    readonly site?: string;
    readonly contact?: ServiceContact;
  };
}

/** OGC 06-121r3, table 18 and following; whatever is absent is left out of the documents. */
export interface ServiceContact {
  readonly individualName?: string;
  readonly positionName?: string;
  readonly phone?: string;
  readonly facsimile?: string;
  readonly address?: {
    readonly deliveryPoint?: string;
    readonly city?: string;
    readonly administrativeArea?: string;
    readonly postalCode?: string;
    readonly country?: string;
    readonly email?: string;
  };
  readonly hoursOfService?: string;
  readonly instructions?: string;
  readonly role?: string;
}
